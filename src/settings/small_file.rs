//! Reads the files that settings name, each of which is small.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes of a file of settings, of a secret, a key or a certificate, at most.
const LARGEST_FILE: u64 = 1 << 20;

/// Reads a regular file. From anything else, such as a pipe, there may be nothing to read for ever.
///
/// # Errors
///
/// When it cannot be read, is no regular file or has more than 1 MiB.
pub(super) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let kind = fs::metadata(&path)?.file_type();
    // Of a folder the system says it better.
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST_FILE {
        true => Err(io::Error::other("it has more than 1 MiB")),
        false => Ok(bytes),
    }
}

/// Reads the text in a regular file.
///
/// # Errors
///
/// The same, and that it is not UTF-8.
pub(super) fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    let text = String::from_utf8(read(path)?);
    text.map_err(|_| io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_mebibyte_is_read_and_a_larger_one_or_what_is_no_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![b' '; LARGEST_FILE as usize]).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, LARGEST_FILE);
        fs::write(&path, vec![b' '; LARGEST_FILE as usize + 1]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("more than 1 MiB"));
        // Of a sparse one, however large it is, no more is read.
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read(&path).is_err());
        fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path).unwrap_err().kind(), ErrorKind::InvalidData);
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for other in [pipe.as_path(), Path::new("/dev/zero"), folder.path(), Path::new("/nowhere")]
        {
            assert!(read(other).is_err(), "{}", other.display());
        }
    }
}
