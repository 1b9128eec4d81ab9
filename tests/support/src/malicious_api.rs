//! An API that answers with any bytes, as nothing but a malicious one would.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The bytes of the answer to a request for a path, with this body; the number counts all requests.
type Answer = dyn Fn(&str, &str, usize) -> Vec<u8> + Send + Sync;

/// An API that answers with any bytes.
pub struct MaliciousApi {
    /// Its base URL.
    pub url: String,
    requests: Arc<AtomicUsize>,
}

impl MaliciousApi {
    /// Begins to answer.
    pub async fn start(
        answer: impl Fn(&str, &str, usize) -> Vec<u8> + Send + Sync + 'static,
    ) -> MaliciousApi {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answer, requests) = (Arc::new(answer), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(
                    stream,
                    Arc::clone(&answer) as Arc<Answer>,
                    Arc::clone(&counted),
                ));
            }
        });
        MaliciousApi { url, requests }
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// A reply of JSON.
    pub fn json(body: &str) -> Vec<u8> {
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
        format!("{head} {length}\r\n\r\n{body}").into_bytes()
    }

    /// That all went well.
    pub fn success() -> Vec<u8> {
        MaliciousApi::json(r#"{"meta":{"status":200},"data":[],"fail":[]}"#)
    }
}

/// Answers each request of a connection; whoever is gone needs no answer.
async fn serve(mut stream: TcpStream, answer: Arc<Answer>, requests: Arc<AtomicUsize>) {
    let mut read = Vec::new();
    loop {
        let Some(head) = read_until(&mut stream, &mut read, |read| {
            read.windows(4).position(|it| it == b"\r\n\r\n").map(|at| at + 4)
        })
        .await
        else {
            return;
        };
        let text = String::from_utf8_lossy(&read[..head]).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let end = head + length.unwrap_or(0_usize);
        let is_whole = |read: &[u8]| (read.len() >= end).then_some(end);
        if read_until(&mut stream, &mut read, is_whole).await.is_none() {
            return;
        }
        let body = String::from_utf8_lossy(&read[head..end]).into_owned();
        read.drain(..end);
        let number = requests.fetch_add(1, Ordering::Relaxed);
        if stream.write_all(&answer(&path, &body, number)).await.is_err() {
            return;
        }
    }
}

/// Reads on until `found` finds something in what was read; nothing where the other side ends before.
async fn read_until(
    stream: &mut TcpStream,
    read: &mut Vec<u8>,
    found: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    loop {
        if let Some(found) = found(read) {
            return Some(found);
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}
