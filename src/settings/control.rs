//! The socket by which people on the same machine pause and resume lanes.

use super::mistake::Mistake;
use super::reader::Reader;
use super::source::Sources;
use super::timings::Timings;
use std::path::{Path, PathBuf};

/// The socket by which people on the same machine pause and resume lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its path.
    pub path: PathBuf,
    /// Whether somebody has set it; by default it is in the runtime folder.
    pub is_set: bool,
    /// The waits and limits that are no settings.
    pub timings: Timings,
}

impl Control {
    /// Reads it from `sources`, whatever else is missing there.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and keys that there are not.
    pub fn read(sources: Sources) -> Result<Control, Vec<Mistake>> {
        let mut reader = Reader::new(sources);
        let control = Control::of(&mut reader);
        reader.finish(control)
    }

    /// A path of a socket has to fit into 107 bytes (unix(7)), and so has the name that it has at first.
    pub(super) fn of(reader: &mut Reader) -> Control {
        let set = reader.optional("control.socket", |text| match text.len() {
            1..=103 if !text.contains('\0') => Ok(PathBuf::from(text)),
            _ => Err("must be a path of 1 to 103 bytes"),
        });
        let folder = reader.runtime_folder().unwrap_or(Path::new("/run/mimecast-eventd"));
        let default = folder.join("control.sock");
        Control { is_set: set.is_some(), path: set.unwrap_or(default), timings: reader.timings() }
    }
}
