//! What addresses are called in the log.

use super::mimecast::Mimecast;
use super::mistake::Mistake;
use super::reader::Reader;
use super::source::Sources;
use crate::secrecy::Pseudonyms;

/// What addresses are called in the log, whatever else is missing in `sources`: by the key for that, or else
/// by the vendor's credentials.
///
/// # Errors
///
/// All mistakes that concern it, and keys that there are not.
pub fn pseudonyms(sources: Sources) -> Result<Pseudonyms, Vec<Mistake>> {
    let mut reader = Reader::new(sources);
    if let Some(pseudonyms) = key(&mut reader) {
        return reader.finish(pseudonyms);
    }
    let mimecast = Mimecast::read(&mut reader);
    let mimecast = reader.finish(mimecast)?.expect("without a mistake every setting is there");
    Ok(Pseudonyms::derived(&mimecast.credentials.secrets()))
}

/// The key for them, if there is one: anything that nobody guesses, and what is short can be tried out.
pub(super) fn key(reader: &mut Reader) -> Option<Pseudonyms> {
    reader.optional("log.pseudonym_key", |text| match text.len() {
        16.. => Ok(Pseudonyms::by(text.as_bytes())),
        _ => Err("must be at least 16 bytes long"),
    })
}
