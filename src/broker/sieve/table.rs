//! The header table of a message.

use super::alterations::Alterations;
use super::walk::{Walk, replace_what_is_not_utf8};
use super::{ALTERED, BODY_SIZE, MAX_DEPTH, MAX_HEADERS};

/// The entries of a header table that are harmless: ours and the broker's have their own room, so that
/// those of strangers cannot take it, nor lose theirs to what the broker adds on a rung. All together have `room`.
pub(super) fn sift_table(mut table: &[u8], room: usize, altered: &mut Alterations) -> Vec<u8> {
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    while !table.is_empty() {
        let Some((entry, name, rest)) = next_entry(table) else {
            // What follows it cannot be told apart.
            altered.headers += 1;
            break;
        };
        table = rest;
        let mut sifted = entry.to_vec();
        if [ALTERED, BODY_SIZE].iter().any(|own| own.as_bytes() == name) {
            altered.headers += 1;
        } else if let Some(changed) = make_readable(&mut sifted) {
            altered.text |= changed;
            (if is_ours(name) { &mut ours } else { &mut others }).push(sifted);
        } else {
            altered.headers += 1;
        }
    }
    let mut kept = fitting(ours, room, altered);
    let room = room - kept.len();
    kept.extend(fitting(others, room, altered));
    kept
}

fn is_ours(name: &[u8]) -> bool {
    let begins = |beginning: &&[u8]| name.starts_with(beginning);
    [&b"x-eventd-"[..], b"x-death", b"x-first-death-", b"x-last-death-"].iter().any(begins)
        || matches!(name, b"x-delivery-count" | b"x-acquired-count")
}

/// The entries one after the other, without those that do not fit any more.
fn fitting(entries: Vec<Vec<u8>>, room: usize, altered: &mut Alterations) -> Vec<u8> {
    let room = room.min(MAX_HEADERS);
    let mut kept = Vec::new();
    for entry in entries {
        if kept.len() + entry.len() <= room {
            kept.extend(entry);
        } else {
            altered.headers += 1;
        }
    }
    kept
}

/// The first entry of a table, its name, and what follows it.
fn next_entry(table: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut walk = Walk::over(table);
    let name = walk.short_bytes()?;
    let kind = *walk.take(1)?.first()?;
    walk.take(size_of(kind, walk.rest())?)?;
    let (entry, rest) = table.split_at(walk.at());
    Some((entry, name, rest))
}

/// Makes all names inside an entry of a table readable, and says whether that took a change; `None`
/// when the client could not read it, or it is too deep. Without recursion, whatever comes.
fn make_readable(entry: &mut [u8]) -> Option<bool> {
    // Where the tables and arrays end that are open, and whether their elements have names.
    let mut open = vec![(entry.len(), true)];
    let (mut at, mut changed) = (0, false);
    while let Some(&(end, named)) = open.last() {
        if at == end {
            open.pop();
            continue;
        }
        if named {
            let length = usize::from(*entry.get(at)?);
            let name = entry.get_mut(at + 1..at + 1 + length)?;
            changed |= replace_what_is_not_utf8(name);
            at += 1 + length;
        }
        let kind = *entry.get(at)?;
        at += 1;
        let size = size_of(kind, entry.get(at..end)?)?;
        if at + size > end {
            return None;
        }
        if matches!(kind, b'F' | b'A') {
            if open.len() > MAX_DEPTH {
                return None;
            }
            open.push((at + size, kind == b'F'));
            at += 4;
        } else {
            at += size;
        }
    }
    Some(changed)
}

/// The bytes that a field of `kind` has, of which `value` is the beginning.
fn size_of(kind: u8, value: &[u8]) -> Option<usize> {
    Some(match kind {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'S' | b'x' | b'A' | b'F' => 4 + u32::from_be_bytes(*value.first_chunk()?) as usize,
        _ => return None,
    })
}
