//! What is wrong with a setting, as a person is told.

use super::origin::Origin;

/// Something wrong with the settings, told without any value that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", one_line(&format!("{key} ({origin}): {problem}")))]
pub struct Mistake {
    /// The key concerned.
    pub key: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// Says that `name` is not known, and which known name is near. The value stays unsaid: it may be a
/// secret under a mistyped name.
pub(super) fn unknown(kind: &str, name: &str, known: impl Iterator<Item = String>) -> String {
    let near = known
        .map(|known| (strsim::jaro_winkler(name, &known), known))
        .filter(|(nearness, _)| *nearness > 0.85)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match near {
        Some((_, near)) => format!("there is no such {kind}; did you mean {near}?"),
        None => format!("there is no such {kind}"),
    }
}

/// Names in the file and of variables may have anything in them.
fn one_line(text: &str) -> String {
    let shown = |character: char| match character.is_control() {
        true => character.escape_debug().to_string(),
        false => character.to_string(),
    };
    text.chars().map(shown).collect()
}
