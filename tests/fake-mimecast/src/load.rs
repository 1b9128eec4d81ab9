//! What a measurement wants of the vendor: each call is applied, whoever it is about, after always the
//! same time, and no more is kept of it than when it came.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::reply::Reply;

pub(crate) struct Load {
    /// Between a call and its reply.
    pub(crate) latency: Duration,
    began: Instant,
    /// In microseconds since the beginning.
    arrivals: Vec<u32>,
}

impl Load {
    pub(crate) fn new(latency: Duration) -> Self {
        Self { latency, began: Instant::now(), arrivals: Vec::new() }
    }

    /// Notes a call that is let in, and applies it.
    pub(crate) fn carry_out(&mut self, item: &Value) -> Reply {
        let since = self.began.elapsed().as_micros();
        self.arrivals.push(u32::try_from(since).unwrap_or(u32::MAX));
        Reply::done(&json!([item]))
    }

    /// How many there were.
    pub(crate) fn count(&self) -> Value {
        json!({ "calls": self.arrivals.len() })
    }

    /// When each of them came, in microseconds since the measurement was ordered.
    pub(crate) fn arrivals(&self) -> Value {
        json!({ "arrivals_microseconds": self.arrivals })
    }
}
