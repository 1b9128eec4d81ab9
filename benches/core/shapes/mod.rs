//! Hostile inputs, as long as one likes, and what reads them.

mod letters;
mod messages;
mod replies;
mod settings;

/// An input that is ready to be read.
pub(crate) struct Shape {
    /// How long it is.
    pub(crate) bytes: usize,
    /// Reads it.
    pub(crate) read: Box<dyn Fn()>,
}

/// Makes an input of about so many bytes.
pub(crate) type Make = Box<dyn Fn(usize) -> Shape>;

/// Every shape, by what is hostile in it.
pub(crate) fn all() -> Vec<(&'static str, Make)> {
    [messages::all(), replies::all(), settings::all(), letters::all()]
        .into_iter()
        .flatten()
        .collect()
}

/// As often as it fits into so many bytes, each time with another number and something between.
fn numbered(size: usize, between: &str, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(size);
    for number in 0.. {
        let piece = piece(number);
        if text.len() + between.len() + piece.len() > size {
            break;
        }
        if number > 0 {
            text.push_str(between);
        }
        text.push_str(&piece);
    }
    text
}

/// The same piece as often as it fits.
fn repeated(size: usize, piece: &str) -> String {
    piece.repeat(size / piece.len())
}
