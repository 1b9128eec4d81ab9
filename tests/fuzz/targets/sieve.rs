//! Any bytes through the sieve: it does not panic, it does not matter how they are cut, and lapin's
//! parser can read every message that comes out.

#![no_main]

use amq_protocol::frame::parse_frame;
use libfuzzer_sys::fuzz_target;
use mimecast_eventd::broker::sieve::{Sieve, Unreadable};

fuzz_target!(|bytes: &[u8]| {
    let whole = sift(&[bytes]);
    let (one, other) = bytes.split_at(bytes.len() / 2);
    assert_eq!(whole, sift(&[one, other]));
    for frames in [content_header(bytes), delivery(bytes)] {
        let Ok(out) = sift(&[&frames]) else { continue };
        let mut rest = out.as_slice();
        while !rest.is_empty() {
            rest = parse_frame(rest).expect("what comes out is read by the client").0;
        }
    }
});

fn sift(pieces: &[&[u8]]) -> Result<Vec<u8>, Unreadable> {
    let (mut sieve, mut out) = (Sieve::default(), Vec::new());
    for piece in pieces {
        sieve.sift(piece, &mut out)?;
    }
    Ok(out)
}

/// The bytes as size, flags and properties of a message.
fn content_header(bytes: &[u8]) -> Vec<u8> {
    // Short of these there is no header at all.
    let mut fields = bytes.to_vec();
    fields.resize(bytes.len().max(10), 0);
    frame(2, &[&[0, 60, 0, 0], fields.as_slice()].concat())
}

/// The bytes as exchange and routing key of a delivery.
fn delivery(bytes: &[u8]) -> Vec<u8> {
    let short = |text: &[u8]| {
        let text = &text[..text.len().min(255)];
        [&[u8::try_from(text.len()).expect("it was cut")], text].concat()
    };
    let (one, other) = bytes.split_at(bytes.len() / 2);
    let tag = [&[0, 60, 0, 60, 1, b't'][..], &[0; 9]].concat();
    frame(1, &[tag, short(one), short(other)].concat())
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("input is small").to_be_bytes();
    [&[kind, 0, 1], &size[..], payload, &[0xCE]].concat()
}
