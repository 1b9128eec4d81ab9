//! The quota as one replica knows it: the program's own, put together again each time from what is known.

use mimecast_eventd::settings::Timings;
use mimecast_eventd::vendor::quota::Headers;
use mimecast_eventd::vendor::{Priority, Quota};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What a replica knows of the quota. Time stands still within a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Known {
    /// Calls that are left, once Mimecast has said so.
    pub remaining: Option<u64>,
    /// Whether Mimecast said to wait.
    pub is_closed: bool,
}

/// Longer than any call takes.
const WINDOW: Duration = Duration::from_secs(1);

impl Known {
    /// Takes a call out of it; `None` while there is none to be had.
    pub fn take(self, limit: u64) -> Option<Known> {
        let mut quota = self.quota(limit);
        quota.take(Priority::High, now()).ok()?;
        Some(Known { remaining: quota.remaining(), is_closed: false })
    }

    /// Mimecast said in a reply that so many calls are left.
    pub fn learn(self, limit: u64, remaining: u64) -> Known {
        let mut quota = self.quota(limit);
        quota.learn(&headers(limit, remaining), now());
        Known { remaining: quota.remaining(), ..self }
    }

    /// Mimecast said to wait.
    pub fn close(self) -> Known {
        Known { remaining: None, is_closed: true }
    }

    fn quota(self, limit: u64) -> Quota {
        let mut quota = Quota::new(Timings::default());
        if self.is_closed {
            quota.close(WINDOW, now());
        }
        if let Some(remaining) = self.remaining {
            quota.learn(&headers(limit, remaining), now());
        }
        quota
    }
}

fn headers(limit: u64, remaining: u64) -> Headers {
    Headers {
        limit: Some(limit),
        remaining: Some(remaining),
        reset: Some(WINDOW),
        retry_after: None,
    }
}

/// One moment for all: how long anything takes is not part of the world.
fn now() -> Instant {
    static NOW: OnceLock<Instant> = OnceLock::new();
    *NOW.get_or_init(Instant::now)
}
