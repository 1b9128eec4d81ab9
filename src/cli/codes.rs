//! `codes`: the table of the vendor's error codes.

use super::terminal::{OutputError, say, say_json, table};
use crate::verdict::code;
use serde_json::json;

/// Prints the table.
///
/// # Errors
///
/// [`OutputError`].
pub fn show(json: bool) -> Result<(), OutputError> {
    if json {
        for [code, outcome, meaning, advice] in code::rows() {
            let row =
                json!({"code": code, "outcome": outcome, "meaning": meaning, "advice": advice});
            say_json(&row)?;
        }
        for [code, meaning, advice] in code::words() {
            let row = json!({"code": code, "outcome": null, "meaning": meaning, "advice": advice});
            say_json(&row)?;
        }
        return Ok(());
    }
    let rows = code::rows().map(|row| row.map(str::to_owned).to_vec());
    say(&table(&["CODE", "OUTCOME", "MEANING", "WHAT TO DO"], rows))?;
    say("")?;
    let words = code::words().map(|row| row.map(str::to_owned).to_vec());
    say(&table(&["WORD OF OURS", "MEANING", "WHAT TO DO"], words))?;
    say("")?;
    say(code::OTHERS)
}
