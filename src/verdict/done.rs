//! Which commands of a message hold already.

use super::command_result::CommandResult;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Which commands of a message hold already, by their places. The digest of all its commands stands
/// beside it, because the places mean nothing when the message, or the configured groups, are others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    digest: String,
    bits: Vec<u8>,
    /// Whether Mimecast has done one of them, rather than found nothing to do.
    applied: bool,
}

/// What stands behind the bits where one of the commands was applied.
const APPLIED: &str = ":applied";

impl Done {
    /// Reads what [`Done::text`] wrote; anything else is nothing done.
    pub fn read(text: &str) -> Done {
        let read = text.split_once(':').and_then(|(digest, rest)| {
            let (bits, applied) =
                rest.strip_suffix(APPLIED).map_or((rest, false), |bits| (bits, true));
            let bits = URL_SAFE_NO_PAD.decode(bits).ok()?;
            Some(Done { digest: digest.to_owned(), bits, applied })
        });
        read.unwrap_or_default()
    }

    /// The digest and the bits in base64, or nothing when nothing is done.
    pub fn text(&self) -> String {
        match self.bits.as_slice() {
            [] => String::new(),
            bits => {
                let applied = if self.applied { APPLIED } else { "" };
                format!("{}:{}{applied}", self.digest, URL_SAFE_NO_PAD.encode(bits))
            }
        }
    }

    /// The same, if it is about the commands with `digest`; else nothing is done of them.
    pub fn of(self, digest: impl FnOnce() -> String) -> Done {
        let is_theirs = !self.bits.is_empty() && self.digest == digest();
        if is_theirs { self } else { Done::default() }
    }

    /// Whether the command at `place` holds.
    pub fn has(&self, place: usize) -> bool {
        self.bits.get(place / 8).is_some_and(|byte| byte & (1 << (place % 8)) != 0)
    }

    /// The best result of the commands that hold already, if one does.
    pub fn result(&self) -> Option<CommandResult> {
        match (self.bits.is_empty(), self.applied) {
            (true, _) => None,
            (false, true) => Some(CommandResult::Applied),
            (false, false) => Some(CommandResult::AlreadyGone),
        }
    }

    /// The command at `place` holds, of the commands with `digest`; `applied` if Mimecast has done it.
    pub fn add(&mut self, place: usize, applied: bool, digest: impl FnOnce() -> String) {
        self.applied |= applied;
        if self.bits.is_empty() {
            self.digest = digest();
        }
        if self.bits.len() <= place / 8 {
            self.bits.resize(place / 8 + 1, 0);
        }
        self.bits[place / 8] |= 1 << (place % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_done_of_other_commands_counts_for_nothing() {
        let mut done = Done::default().of(|| "digest".into());
        done.add(1, false, || "digest".into());
        assert_eq!(Done::read(&done.text()).result(), Some(CommandResult::AlreadyGone));
        done.add(2, true, || "digest".into());
        assert_eq!(Done::read(&done.text()).result(), Some(CommandResult::Applied));
        assert!(done.clone().of(|| "digest".into()).has(1));
        let other = done.of(|| "another".into());
        assert!(!other.has(1) && other.result().is_none());
        assert_eq!(other.text(), "");
        for text in ["", "no colon", "digest:%%%", ":"] {
            assert_eq!(Done::read(text), Done::default(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_in_a_few_bytes(
            places in proptest::collection::btree_set(0_usize..1_000, 0..50),
        ) {
            let digest = || "0123456789abcdef0123456789abcdef01234567".to_owned();
            let mut done = Done::default();
            places.iter().for_each(|place| done.add(*place, true, digest));
            let text = done.text();
            prop_assert!(text.len() <= 41 + 168 + 8, "{}", text.len());
            let read = Done::read(&text).of(digest);
            for place in 0..1_000 {
                prop_assert_eq!(read.has(place), places.contains(&place));
            }
        }
    }
}
