//! The properties of a message, around its header table.

use super::alterations::Alterations;
use super::table::sift_table;
use super::walk::Walk;

/// Bytes of a content header's frame that are no properties: its start and its end, class, weight and body size.
const BEFORE_PROPERTIES: usize = 8 + 12;

/// Room for the headers that say what was altered.
const OWN_HEADERS: usize = 256;

/// The properties of a message around its header table, sifted.
#[derive(Debug, Default)]
pub(super) struct Properties<'a> {
    flags: u16,
    walk: Walk<'a>,
    /// Where the header table begins among them, and where what follows it does.
    table: (usize, usize),
    headers: Vec<u8>,
    /// Whether nothing had to be altered in here.
    pub is_as_it_was: bool,
}

impl<'a> Properties<'a> {
    const HEADERS: u16 = 1 << 13;

    /// What the client can read of `properties` in a frame of so many bytes. Where one of them is cut short nothing can be said
    /// about those that follow, and none is kept.
    pub(super) fn sift(
        properties: &'a [u8],
        frame_max: usize,
        altered: &mut Alterations,
    ) -> Properties<'a> {
        let sifted = Properties::walk(properties, frame_max, altered);
        sifted.unwrap_or_else(|| {
            altered.headers += 1;
            Properties::default()
        })
    }

    fn walk(
        properties: &'a [u8],
        frame_max: usize,
        altered: &mut Alterations,
    ) -> Option<Properties<'a>> {
        let (flags, rest) = properties.split_first_chunk()?;
        let flags = u16::from_be_bytes(*flags);
        let has = |bit: u16| flags & (1 << bit) != 0;
        let mut walk = Walk::over(rest);
        // Content type and content encoding.
        for _ in [15, 14].into_iter().filter(|bit| has(*bit)) {
            walk.short_text()?;
        }
        let begin = walk.at();
        let headers = if flags & Properties::HEADERS == 0 { &[] } else { walk.long_bytes()? };
        let table = (begin, walk.at());
        for bit in (2..=12).rev().filter(|bit| has(*bit)) {
            match bit {
                // Delivery mode and priority.
                12 | 11 => walk.take(1).map(drop)?,
                // Timestamp.
                6 => walk.take(8).map(drop)?,
                // Correlation id, reply to, expiration, message id, type, user id, app id, cluster id.
                _ => walk.short_text()?,
            }
        }
        if !walk.rest().is_empty() {
            return None;
        }
        altered.text |= walk.is_altered();
        let others = properties.len() - headers.len() + BEFORE_PROPERTIES + OWN_HEADERS;
        let sifted = sift_table(headers, frame_max.saturating_sub(others), altered);
        let is_as_it_was = sifted == headers;
        Some(Properties { flags, walk, table, headers: sifted, is_as_it_was })
    }

    pub(super) fn write(mut self, altered: Alterations, out: &mut Vec<u8>) {
        let mut flags = self.flags;
        if altered != Alterations::default() {
            flags |= Properties::HEADERS;
            altered.write(&mut self.headers);
        }
        let (before, after) = self.table;
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend(self.walk.harmless(0..before));
        if flags & Properties::HEADERS != 0 {
            out.extend_from_slice(&(self.headers.len() as u32).to_be_bytes());
            out.extend_from_slice(&self.headers);
        }
        out.extend(self.walk.harmless(after..self.walk.at()));
    }
}
