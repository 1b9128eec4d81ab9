//! Asks the daemon on this machine whether it works: for container engines without an HTTP client.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Bytes of the largest answer that is read.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Asks `/livez` of the daemon that listens on `listen`, and waits no longer than `patience` for each step.
///
/// # Errors
///
/// When there is no answer, or one that is not 200.
pub fn ask(listen: SocketAddr, patience: Duration) -> io::Result<()> {
    let mut answer = [0; 12];
    request(listen, "/livez", patience)?.read_exact(&mut answer)?;
    expect_success(&answer)
}

/// The body that the daemon that listens on `listen` answers for `path`, within `patience` for each step.
///
/// # Errors
///
/// When there is no answer, or one that is not 200.
pub fn get(listen: SocketAddr, path: &str, patience: Duration) -> io::Result<String> {
    let mut answer = String::new();
    request(listen, path, patience)?.take(MOST_BYTES).read_to_string(&mut answer)?;
    expect_success(answer.as_bytes().get(..12).unwrap_or_default())?;
    let (_, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("the answer has no body"))?;
    Ok(body.to_owned())
}

fn request(listen: SocketAddr, path: &str, patience: Duration) -> io::Result<TcpStream> {
    let address = SocketAddr::new(reachable(listen.ip()), listen.port());
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    Ok(stream)
}

fn expect_success(beginning: &[u8]) -> io::Result<()> {
    match beginning.ends_with(b" 200") {
        true => Ok(()),
        false => Err(io::Error::other("the answer is not 200")),
    }
}

/// A daemon that listens everywhere is asked on loopback.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_answer_of_four_mebibytes_is_read_and_of_a_longer_one_no_more() {
        const HEAD: &str = "HTTP/1.1 200 OK\r\n\r\n";
        for bytes in [MOST_BYTES, MOST_BYTES + 1] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 1024];
                assert!(stream.read(&mut asked).unwrap() > 0);
                let body = vec![b'x'; bytes as usize - HEAD.len()];
                // Who has read enough closes the connection.
                let _sent = stream.write_all(&[HEAD.as_bytes(), &body].concat());
            });
            let body = get(address, "/", Duration::from_secs(60)).unwrap();
            assert_eq!(body.len() + HEAD.len(), MOST_BYTES as usize);
        }
    }
}
