//! The facts of a scene that tests wait for.

use super::scene::Scene;
use crate::support::{DEADLINE, eventually};

impl Scene {
    /// Waits until so many more calls have reached the vendor.
    pub async fn calls(&self, more: usize) {
        let calls = self.fake.calls().len();
        self.fake.wait_for_calls(calls + more, DEADLINE).await;
    }

    /// Waits until both lanes are paused.
    pub async fn paused(&self) {
        for event in ["user.offboarded", "url.unblock"] {
            let paused = format!(r#"eventd_lane_state{{event="{event}",state="paused"}}"#);
            self.daemon().wait_for_metric(&paused, 1.0).await;
        }
    }

    /// Waits until the daemon has noticed that the broker is gone.
    pub async fn disconnected(&self) {
        self.daemon().wait_for_metric("eventd_amqp_connected", 0.0).await;
    }

    /// How often this daemon has connected.
    pub async fn connections(&self) -> f64 {
        self.daemon().metric("eventd_amqp_connections_total").await
    }

    /// Waits until it has connected once more than `before`.
    pub async fn reconnected(&self, before: f64) {
        eventually("the daemon connects again", async || {
            (self.connections().await > before).then_some(())
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
