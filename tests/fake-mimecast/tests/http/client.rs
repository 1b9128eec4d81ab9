//! A client that sends exactly the bytes it is told to, and shows how the connection ended.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::Utc;
use fake_mimecast::{Credentials, FakeMimecast, Operation};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const GROUP: &str = "eNo-group";
/// Of `x-mc-date`.
pub(crate) const DATE_FORMAT: &str = "%a, %d %b %Y %H:%M:%S UTC";
pub(crate) const ADA: &str = "ada@example.org";

/// A request that may still be spoilt.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<&'static str, String>,
    pub(crate) body: String,
    /// Whether it is meant for the address of API 2.0.
    pub(crate) oauth2: bool,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// Whether the whole body arrived that the head had announced.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    /// The code in the shape of API 1.0.
    pub(crate) fn code(&self) -> Value {
        self.json()["fail"][0]["errors"][0]["code"].clone()
    }

    pub(crate) fn flat_code(&self) -> Value {
        self.json()["fail"][0]["code"].clone()
    }
}

pub(crate) fn removal_of(member: &str) -> Value {
    json!({ "id": GROUP, "emailAddress": member })
}

/// The stamp of API 1.0 for this moment, with an id that was never used before.
pub(crate) fn stamp() -> (String, String) {
    static USED: AtomicU64 = AtomicU64::new(0);
    let date = Utc::now().format(DATE_FORMAT).to_string();
    let id = format!("request-{}", USED.fetch_add(1, Ordering::Relaxed));
    (date, id)
}

impl Draft {
    fn of(operation: Operation, item: &Value) -> Self {
        Self {
            method: "POST",
            path: operation.path().to_owned(),
            headers: BTreeMap::from([("content-type", "application/json".to_owned())]),
            body: json!({ "data": [item] }).to_string(),
            oauth2: operation == Operation::Token,
        }
    }

    pub(crate) fn signed(operation: Operation, item: &Value) -> Self {
        Self::signed_by(&Credentials::default(), operation, item)
    }

    pub(crate) fn signed_by(credentials: &Credentials, operation: Operation, item: &Value) -> Self {
        let (date, id) = stamp();
        let authorization = credentials.authorization(&date, &id, operation.path());
        Self::of(operation, item)
            .with("authorization", authorization)
            .with("x-mc-app-id", &credentials.app_id)
            .with("x-mc-date", date)
            .with("x-mc-req-id", id)
    }

    pub(crate) fn bearing(token: &str, operation: Operation, item: &Value) -> Self {
        let bearing = Self::of(operation, item).with("authorization", format!("Bearer {token}"));
        Self { oauth2: true, ..bearing }
    }

    pub(crate) fn token(client_id: &str, client_secret: &str) -> Self {
        let mut draft = Self::of(Operation::Token, &Value::Null)
            .with("content-type", "application/x-www-form-urlencoded");
        draft.body = format!(
            "grant_type=client_credentials&client_id={client_id}&client_secret={client_secret}"
        );
        draft
    }

    pub(crate) fn control(method: &'static str, path: &str, body: &Value) -> Self {
        Self {
            method,
            path: format!("/_fake/{path}"),
            headers: BTreeMap::new(),
            body: body.to_string(),
            oauth2: false,
        }
    }

    /// The same to the address of the other generation.
    pub(crate) fn misdirected(self) -> Self {
        Self { oauth2: !self.oauth2, ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// One exchange on a connection of its own.
    pub(crate) async fn send_to(&self, address: SocketAddr) -> io::Result<Answer> {
        let closing = self.clone().with("connection", "close");
        closing.send_over(TcpStream::connect(address).await?).await
    }

    /// One exchange, and then whatever else comes until the connection is closed.
    pub(crate) async fn send_over(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> io::Result<Answer> {
        let mut request = format!(
            "{} {} HTTP/1.1\r\nhost: fake\r\ncontent-length: {}\r\n",
            self.method,
            self.path,
            self.body.len()
        );
        for (name, value) in &self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        request += &self.body;
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await?;
        parse(&reply).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    pub(crate) async fn send(&self, fake: &FakeMimecast) -> Answer {
        self.send_to(self.address_at(fake)).await.expect("a reply came")
    }

    pub(crate) async fn fail_to_send(&self, fake: &FakeMimecast) -> io::ErrorKind {
        self.send_to(self.address_at(fake)).await.expect_err("no reply came").kind()
    }

    pub(crate) fn address_at(&self, fake: &FakeMimecast) -> SocketAddr {
        if self.oauth2 { fake.oauth2_address() } else { fake.address() }
    }
}

/// Asks for a token with the right credentials.
pub(crate) async fn token_of(fake: &FakeMimecast) -> String {
    let credentials = Credentials::default();
    let answer = Draft::token(&credentials.client_id, &credentials.client_secret).send(fake).await;
    assert_eq!(answer.status, 200);
    answer.json()["access_token"].as_str().expect("the reply holds a token").to_owned()
}

/// A fake with one group that has one member.
pub(crate) async fn fake_with_ada() -> FakeMimecast {
    let fake = FakeMimecast::start(Credentials::default()).await;
    fake.add_member(GROUP, ADA);
    fake
}

/// A signed removal of the one member.
pub(crate) fn ada_leaves() -> Draft {
    Draft::signed(Operation::RemoveGroupMember, &removal_of(ADA))
}

/// The same with another date, which is signed.
pub(crate) fn ada_leaves_at(date: &str) -> Draft {
    let (_, id) = stamp();
    let path = Operation::RemoveGroupMember.path();
    let authorization = Credentials::default().authorization(date, &id, path);
    ada_leaves()
        .with("authorization", authorization)
        .with("x-mc-req-id", id)
        .with("x-mc-date", date)
}

fn parse(reply: &str) -> Option<Answer> {
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let announced = headers
        .get("content-length")
        .map_or(0, |length| length.parse().expect("a length is a number"));
    Some(Answer { status, headers, body: body.to_owned(), complete: body.len() == announced })
}
