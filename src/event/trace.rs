//! The trace that a message belongs to, as the systems before us say.

use std::fmt;

/// The id of a trace: 32 hexadecimal digits in lower case, not all of them zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceId(String);

impl TraceId {
    /// Reads it from a `traceparent`: version, trace, parent and flags (W3C Trace Context, section 3.2).
    /// `None` if it is not as that says: the message belongs to no trace then, and nothing else is wrong
    /// with it.
    pub fn of(traceparent: &str) -> Option<TraceId> {
        let mut parts = traceparent.trim().split('-');
        let version = hexadecimal(parts.next()?, 2).filter(|version| *version != "ff")?;
        let trace = hexadecimal(parts.next()?, 32)?;
        let parent = hexadecimal(parts.next()?, 16)?;
        hexadecimal(parts.next()?, 2)?;
        let is_of_nothing = |id: &str| id.bytes().all(|digit| digit == b'0');
        // Later versions may add parts at the end.
        let has_more = version == "00" && parts.next().is_some();
        let is_none = is_of_nothing(trace) || is_of_nothing(parent) || has_more;
        (!is_none).then(|| TraceId(trace.to_owned()))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn hexadecimal(text: &str, digits: usize) -> Option<&str> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    Some(text).filter(|text| text.len() == digits && text.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_from_what_the_standard_allows_and_from_nothing_else() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |text: &str| TraceId::of(text).map(|id| id.to_string());
        for right in [
            format!("00-{trace}-7169203331000001-01"),
            format!(" 00-{trace}-7169203331000001-00 "),
            format!("cc-{trace}-7169203331000001-01-what-comes-later"),
        ] {
            assert_eq!(read(&right).as_deref(), Some(trace), "{right}");
        }
        for wrong in [
            String::new(),
            "00-1".into(),
            format!("00-{trace}-7169203331000001"),
            format!("00-{trace}-7169203331000001-1"),
            format!("00-{trace}-7169203331000001-01-more"),
            format!("ff-{trace}-7169203331000001-01"),
            format!("00-{}-7169203331000001-01", trace.to_uppercase()),
            format!("00-{}-7169203331000001-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}\u{e9}-7169203331000001-01"),
            format!("00-{trace}-716920333100000g-01"),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
