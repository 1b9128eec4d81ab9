//! The states of a lane.

/// What a lane is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// It has a consumer.
    Consuming,
    /// It has none on purpose, because nothing would succeed.
    Paused,
    /// It has none, because there is no connection.
    Disconnected,
}

impl LaneState {
    /// Every state, in the order in which they are shown.
    pub const ALL: [LaneState; 3] =
        [LaneState::Consuming, LaneState::Paused, LaneState::Disconnected];

    /// The name in metrics and in `/readyz`.
    pub fn label(self) -> &'static str {
        match self {
            LaneState::Consuming => "consuming",
            LaneState::Paused => "paused",
            LaneState::Disconnected => "disconnected",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_the_name_that_alerts_depend_on() {
        assert_eq!(LaneState::ALL.map(LaneState::label), ["consuming", "paused", "disconnected"]);
    }
}
