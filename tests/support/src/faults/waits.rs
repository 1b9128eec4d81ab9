//! The facts of a scene that tests wait for.

use super::scene::Scene;
use crate::{DEADLINE, eventually};

const EVENTS: [&str; 2] = ["user.offboarded", "url.unblock"];

impl Scene {
    /// Waits until so many calls have reached the vendor since the last messages were published.
    pub async fn calls(&self, more: usize) {
        self.fake.wait_for_calls(self.called_before + more, DEADLINE).await;
    }

    /// Waits until so many more calls reach the vendor, as the probes of paused lanes do.
    pub async fn probes(&self, more: usize) {
        let calls = self.fake.changes_called();
        self.fake.wait_for_calls(calls + more, DEADLINE).await;
    }

    /// Waits until both lanes are paused.
    pub async fn paused(&self) {
        for event in EVENTS {
            let paused = format!(r#"eventd_lane_state{{event="{event}",state="paused"}}"#);
            self.daemon().wait_for_metric(&paused, 1.0).await;
        }
    }

    /// Waits until both lanes have noticed that the broker is gone.
    pub async fn disconnected(&self) {
        for event in EVENTS {
            let connected = format!(r#"eventd_amqp_connected{{event="{event}"}}"#);
            self.daemon().wait_for_metric(&connected, 0.0).await;
        }
    }

    /// How often each lane of this daemon has connected.
    pub async fn connections(&self) -> [f64; 2] {
        let mut connections = [0.0; 2];
        for (connections, event) in connections.iter_mut().zip(EVENTS) {
            let series = format!(r#"eventd_amqp_connections_total{{event="{event}"}}"#);
            *connections = self.daemon().metric(&series).await;
        }
        connections
    }

    /// Waits until each lane has connected once more than `before`.
    pub async fn reconnected(&self, before: [f64; 2]) {
        eventually("the daemon connects again", async || {
            let now = self.connections().await;
            now.iter().zip(before).all(|(now, before)| *now > before).then_some(())
        })
        .await;
    }

    /// Waits until one lane has connected once more than `before`.
    pub async fn one_reconnected(&self, before: [f64; 2]) {
        eventually("a lane connects again", async || {
            let now = self.connections().await;
            now.iter().zip(before).any(|(now, before)| *now > before).then_some(())
        })
        .await;
    }

    /// How many sessions of this daemon have ended.
    pub fn ended_sessions(&self) -> usize {
        self.daemon().logged("the session ended").len()
    }

    /// Waits until it is more than `before`.
    pub async fn session_ended(&self, before: usize) {
        eventually("another session ends", async || (self.ended_sessions() > before).then_some(()))
            .await;
    }
}
