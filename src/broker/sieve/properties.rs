//! The properties of a message, around its header table.

use super::alterations::Alterations;
use super::table::sift_table;
use super::walk::Walk;

/// The properties of a message around its header table, sifted.
#[derive(Debug, Default)]
pub(super) struct Properties {
    flags: u16,
    before: Vec<u8>,
    headers: Vec<u8>,
    after: Vec<u8>,
    /// Whether nothing had to be altered in here.
    pub is_as_it_was: bool,
}

impl Properties {
    const HEADERS: u16 = 1 << 13;

    /// What the client can read of `properties`. Where one of them is cut short nothing can be said
    /// about those that follow, and none is kept.
    pub(super) fn sift(properties: &[u8], altered: &mut Alterations) -> Properties {
        let sifted = Properties::walk(properties, altered);
        sifted.unwrap_or_else(|| {
            altered.headers += 1;
            Properties::default()
        })
    }

    fn walk(properties: &[u8], altered: &mut Alterations) -> Option<Properties> {
        let (flags, rest) = properties.split_first_chunk()?;
        let flags = u16::from_be_bytes(*flags);
        let has = |bit: u16| flags & (1 << bit) != 0;
        let mut walk = Walk::over(rest);
        // Content type and content encoding.
        for _ in [15, 14].into_iter().filter(|bit| has(*bit)) {
            walk.short_text()?;
        }
        let before = std::mem::take(&mut walk.out);
        let headers = if flags & Properties::HEADERS == 0 { &[] } else { walk.long_bytes()? };
        for bit in (2..=12).rev().filter(|bit| has(*bit)) {
            match bit {
                // Delivery mode and priority.
                12 | 11 => walk.bytes(1)?,
                // Timestamp.
                6 => walk.bytes(8)?,
                // Correlation id, reply to, expiration, message id, type, user id, app id, cluster id.
                _ => walk.short_text()?,
            }
        }
        if !walk.rest.is_empty() {
            return None;
        }
        altered.text |= walk.text;
        let sifted = sift_table(headers, altered);
        let is_as_it_was = sifted == headers;
        Some(Properties { flags, before, headers: sifted, after: walk.out, is_as_it_was })
    }

    pub(super) fn write(mut self, altered: Alterations, out: &mut Vec<u8>) {
        let mut flags = self.flags;
        if altered != Alterations::default() {
            flags |= Properties::HEADERS;
            altered.write(&mut self.headers);
        }
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&self.before);
        if flags & Properties::HEADERS != 0 {
            out.extend_from_slice(&(self.headers.len() as u32).to_be_bytes());
            out.extend_from_slice(&self.headers);
        }
        out.extend_from_slice(&self.after);
    }
}
