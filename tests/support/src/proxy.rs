//! A proxy as companies have them: it is asked to connect to hosts by name, and tells who was asked
//! for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A proxy on loopback, for as long as it lives. Whoever is asked for, it connects to one target.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Starts one that leads to `target`.
    pub async fn to(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&asked)));
        Proxy { address, asked, accepting }
    }

    /// What `HTTPS_PROXY` is to be.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first line of every request: `CONNECT host:port HTTP/1.1`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, asked: Arc<Mutex<Vec<String>>>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        connections.spawn(carry(near, target, Arc::clone(&asked)));
    }
}

async fn carry(near: TcpStream, target: SocketAddr, asked: Arc<Mutex<Vec<String>>>) {
    let mut near = BufReader::new(near);
    let mut head = Vec::new();
    while !head.ends_with(&["\r\n".to_owned()]) {
        let mut line = String::new();
        if !matches!(near.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        head.push(line);
    }
    asked.lock().unwrap().push(head[0].trim_end().to_owned());
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    // What follows is nobody's business but theirs.
    if near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}
