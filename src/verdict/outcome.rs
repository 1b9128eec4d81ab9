//! What one attempt came to.

use super::fault::Fault;
use std::time::Duration;

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done now.
    Applied,
    /// Mimecast does not find what was to be removed.
    NotFound,
    /// The item is refused for good.
    Rejected(Fault),
    /// Refused, and it may be for a permission that the caller lacks rather than for the item: a health
    /// call decides.
    Forbidden(Fault),
    /// The caller is refused.
    Unauthorized(Fault),
    /// Not executed; the vendor asks to wait this long.
    Throttled(Duration),
    /// A passing fault; whether the call was executed is not known.
    Unavailable(Fault),
}

impl Outcome {
    /// The labels of every outcome, for metrics.
    pub const LABELS: [&'static str; 6] =
        ["applied", "not_found", "rejected", "unauthorized", "throttled", "unavailable"];

    /// The name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Applied => "applied",
            Outcome::NotFound => "not_found",
            Outcome::Rejected(_) | Outcome::Forbidden(_) => "rejected",
            Outcome::Unauthorized(_) => "unauthorized",
            Outcome::Throttled(_) => "throttled",
            Outcome::Unavailable(_) => "unavailable",
        }
    }

    /// Whether it is a failure; to be asked to wait is none.
    pub fn is_failure(&self) -> bool {
        self.fault().is_some()
    }

    /// What went wrong, if something did.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Outcome::Rejected(fault)
            | Outcome::Forbidden(fault)
            | Outcome::Unauthorized(fault)
            | Outcome::Unavailable(fault) => Some(fault),
            Outcome::Applied | Outcome::NotFound | Outcome::Throttled(_) => None,
        }
    }

    /// The same, said without the vendor's voice: that counts as no answer, whatever it says.
    pub fn into_weather(self) -> Outcome {
        match self {
            Outcome::Rejected(fault) | Outcome::Forbidden(fault) => Outcome::Unavailable(fault),
            Outcome::NotFound => Outcome::Unavailable(Fault::new("no_verdict", "no voice")),
            Outcome::Applied
            | Outcome::Unauthorized(_)
            | Outcome::Throttled(_)
            | Outcome::Unavailable(_) => self,
        }
    }

    /// The same; its fault names the id under which the vendor knows the request.
    pub(super) fn naming(self, request_id: Option<&str>) -> Outcome {
        let Some(request_id) = request_id else { return self };
        let name = |fault: Fault| {
            // However long the vendor's words are, the id is worth more than their end.
            let words = &fault.detail[..fault.detail.floor_char_boundary(880)];
            Fault::new(&fault.code, &format!("{words} (vendor's request id {request_id})"))
        };
        match self {
            Outcome::Rejected(fault) => Outcome::Rejected(name(fault)),
            Outcome::Forbidden(fault) => Outcome::Forbidden(name(fault)),
            Outcome::Unauthorized(fault) => Outcome::Unauthorized(name(fault)),
            Outcome::Unavailable(fault) => Outcome::Unavailable(name(fault)),
            Outcome::Applied | Outcome::NotFound | Outcome::Throttled(_) => self,
        }
    }

    /// Which of several failures in one reply decides.
    pub(super) fn severity(&self) -> u8 {
        match self {
            Outcome::Applied => 0,
            Outcome::NotFound => 1,
            Outcome::Rejected(_) => 2,
            Outcome::Forbidden(_) => 3,
            Outcome::Unavailable(_) => 4,
            Outcome::Throttled(_) => 5,
            Outcome::Unauthorized(_) => 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_and_a_passing_fault_are_failures_and_to_be_asked_to_wait_is_none() {
        let fault = || Fault::new("code", "");
        let failures = [
            Outcome::Rejected(fault()),
            Outcome::Unauthorized(fault()),
            Outcome::Unavailable(fault()),
        ];
        assert!(Outcome::Forbidden(fault()).is_failure());
        assert_eq!(Outcome::Forbidden(fault()).label(), "rejected");
        assert!(failures.iter().all(Outcome::is_failure));
        let others = [Outcome::Applied, Outcome::NotFound, Outcome::Throttled(Duration::ZERO)];
        assert!(!others.iter().any(Outcome::is_failure));
        let labels = others[..2].iter().chain(&failures[..2]).chain([&others[2], &failures[2]]);
        assert_eq!(labels.map(Outcome::label).collect::<Vec<_>>(), Outcome::LABELS);
    }
}
