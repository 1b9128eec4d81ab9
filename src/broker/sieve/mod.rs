//! Makes what strangers put into messages harmless before the client's parser meets it.
//!
//! Texts of AMQP are bytes, header tables may be nested without end, and a body is as large as its
//! sender likes. The client ends the connection over a text that is not UTF-8, overflows its stack over
//! a deep table and buffers every body; each of these would cost all other messages of the lane. So
//! the frames that the broker sends go through here first:
//!
//! - in the short texts of the methods that the broker sends, such as `basic.deliver` and `channel.close`, and of the
//!   properties, each byte that is not UTF-8 becomes one `?`;
//! - entries of the header table that the client could not read, or that are nested deeper than
//!   [`MAX_DEPTH`], are left out, and so are those that do not fit into [`MAX_HEADERS`] or into a frame: the broker adds headers of its own,
//!   without a limit;
//! - so are those of the properties that a broker tells of itself before the login;
//! - a method that no broker sends ends the connection: the client would read its tables, however deep;
//! - a body above [`MAX_BODY`], or another limit, is passed over: its message arrives empty.
//!
//! A message that was altered has the header [`ALTERED`], which says how, and one without its body
//! also has [`BODY_SIZE`]; nobody else can set them. Whatever is not wrong comes out as it came in.
//!
//! Source of the layouts: the AMQP 0-9-1 specification, sections 2.3.5 and 4.2, with the types of
//! fields as RabbitMQ has them ("AMQP 0-9-1 Errata", section 3).

mod alterations;
mod method;
mod properties;
mod table;
mod walk;

use crate::event::MAX_BODY;
use alterations::Alterations;
use method::{Fields, fields_of, frame_max, start};
use properties::Properties;
use std::collections::BTreeMap;
use walk::Walk;

/// Bytes of the largest body that people are shown, and that is copied for them: twice as many as an event may have. A
/// larger one stays at the broker, so that no queue takes much memory.
pub const LARGEST_LETTER: u64 = 2 * MAX_BODY as u64;

/// Tables and arrays inside each other in a header, the table of headers not counted.
pub const MAX_DEPTH: usize = 4;

/// Bytes of a header table; our own headers and the broker's have as much again for themselves.
pub const MAX_HEADERS: usize = 16 * 1024;

/// The header that says how a message was altered here.
pub const ALTERED: &str = "x-eventd-sieve";

/// The header with the size of a body that was passed over, in bytes.
pub const BODY_SIZE: &str = "x-eventd-body-size";

/// No frame is larger than this, in bytes; it is what we ask the broker for.
pub const FRAME_MAX: u32 = 128 * 1024;

/// Each side takes frames of this size (AMQP 0-9-1, section 4.2.3), and the client insists on it.
const FRAME_MIN: u32 = 4096;

/// How a message is altered that has lost headers.
pub const LEFT_OUT: &str = "headers that are too deep, too large or unreadable were left out";

/// Type, channel and size come before the payload of a frame, and one byte after it.
const FRAME_START: usize = 7;
const FRAME_END: u8 = 0xCE;
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const BASIC: [u8; 2] = [0, 60];

/// Why what the broker sends cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no frame.
    #[error("what came is not AMQP 0-9-1; perhaps TLS is expected there (amqps://)")]
    NotAmqp,
    /// The broker takes no frames of the least size. It would end the connection without a word.
    #[error(
        "frame_max of RabbitMQ is {0} bytes, and AMQP 0-9-1 needs {FRAME_MIN} at least; \
         set it to 131072, its default"
    )]
    FramesTooSmall(u32),
}

/// What is known between the frames of one connection.
#[derive(Debug)]
pub struct Sieve {
    /// Bytes of the largest body that goes on.
    max_body: u64,
    /// Bytes of the largest frame that the client reads: the broker has offered it.
    frame_max: u32,
    /// The beginning of a frame that is still to come.
    begun: Vec<u8>,
    /// Channels whose next content header belongs to an altered method.
    altered: BTreeMap<u16, Alterations>,
    /// Bytes of bodies that are still to be passed over, by channel.
    passing_over: BTreeMap<u16, u64>,
}

impl Default for Sieve {
    fn default() -> Sieve {
        Sieve::up_to(MAX_BODY as u64)
    }
}

impl Sieve {
    /// One that passes over bodies of more than so many bytes.
    pub fn up_to(max_body: u64) -> Sieve {
        let (begun, altered) = (Vec::new(), BTreeMap::new());
        Sieve { max_body, frame_max: FRAME_MAX, begun, altered, passing_over: BTreeMap::new() }
    }

    /// Takes the next bytes that came from the broker, and adds to `out` what may go on.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]; then nothing that follows can be told apart either.
    pub fn sift(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.begun.extend_from_slice(bytes);
        let mut begun = std::mem::take(&mut self.begun);
        let mut rest = begun.as_slice();
        while let Some((frame, after)) = next_frame(rest)? {
            self.frame(frame, out)?;
            rest = after;
        }
        let sifted = begun.len() - rest.len();
        begun.drain(..sifted);
        self.begun = begun;
        Ok(())
    }

    fn frame(&mut self, frame: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let (start, payload) = (&frame[..FRAME_START], &frame[FRAME_START..frame.len() - 1]);
        let channel = u16::from_be_bytes([start[1], start[2]]);
        let sifted = match start[0] {
            METHOD => self.method(channel, payload)?,
            HEADER => self.header(channel, payload)?,
            BODY if self.passes_over(channel, payload.len()) => return Ok(()),
            _ => None,
        };
        match sifted {
            None => out.extend_from_slice(frame),
            Some(sifted) => {
                let size = u32::try_from(sifted.len()).map_err(|_| Unreadable::NotAmqp)?;
                out.extend_from_slice(&start[..3]);
                out.extend_from_slice(&size.to_be_bytes());
                out.extend_from_slice(&sifted);
                out.push(FRAME_END);
            }
        }
        Ok(())
    }

    /// A method with harmless texts, when it has others.
    fn method(&mut self, channel: u16, payload: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
        // A method ends what was under way on its channel, even if that was cut short.
        self.passing_over.remove(&channel);
        self.altered.remove(&channel);
        if let Some(offered) = frame_max(payload) {
            self.frame_max = offered.min(FRAME_MAX);
            if offered < FRAME_MIN {
                return Err(Unreadable::FramesTooSmall(offered));
            }
        }
        let mut walk = Walk::over(payload);
        let (texts_before, skipped, texts_after) = match fields_of(payload) {
            None => return Err(Unreadable::NotAmqp),
            Some(Fields::Harmless) => return Ok(None),
            Some(Fields::Start) => return start(walk).ok_or(Unreadable::NotAmqp),
            Some(Fields::Texts(before, skipped, after)) => (before, skipped, after),
        };
        let walked = walk.take(4).is_some()
            && (0..texts_before).all(|_| walk.short_text().is_some())
            && walk.take(skipped).is_some()
            && (0..texts_after).all(|_| walk.short_text().is_some());
        if !walked {
            return Err(Unreadable::NotAmqp);
        }
        if !walk.is_altered() {
            return Ok(None);
        }
        self.altered.insert(channel, Alterations { text: true, ..Alterations::default() });
        Ok(Some(walk.harmless(0..payload.len())))
    }

    /// A content header that the client can read, and that says what was altered, if anything was.
    fn header(&mut self, channel: u16, payload: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
        let mut altered = self.altered.remove(&channel).unwrap_or_default();
        let (fixed, properties) = payload.split_at_checked(12).ok_or(Unreadable::NotAmqp)?;
        if !fixed.starts_with(&BASIC) {
            return Err(Unreadable::NotAmqp);
        }
        let size =
            fixed[4..].try_into().map(u64::from_be_bytes).map_err(|_| Unreadable::NotAmqp)?;
        if size > self.max_body {
            self.passing_over.insert(channel, size);
            altered.body = Some(size);
        }
        let sifted = Properties::sift(properties, self.frame_max as usize, &mut altered);
        if altered == Alterations::default() && sifted.is_as_it_was {
            return Ok(None);
        }
        let size = if altered.body.is_some() { 0 } else { size };
        let mut header = fixed[..4].to_vec();
        header.extend_from_slice(&size.to_be_bytes());
        sifted.write(altered, &mut header);
        Ok(Some(header))
    }

    /// Whether a body frame belongs to a body that is passed over.
    fn passes_over(&mut self, channel: u16, size: usize) -> bool {
        let Some(left) = self.passing_over.get_mut(&channel) else { return false };
        *left = left.saturating_sub(size as u64);
        if *left == 0 {
            self.passing_over.remove(&channel);
        }
        true
    }
}

/// A frame, and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The first frame of `bytes`, once it is complete.
fn next_frame(bytes: &[u8]) -> Result<Option<Split<'_>>, Unreadable> {
    let Some(kind) = bytes.first() else { return Ok(None) };
    if !matches!(*kind, METHOD | HEADER | BODY | HEARTBEAT) {
        return Err(Unreadable::NotAmqp);
    }
    let Some(size) = bytes.get(3..FRAME_START) else { return Ok(None) };
    let size = size.try_into().map(u32::from_be_bytes).map_err(|_| Unreadable::NotAmqp)?;
    if size > FRAME_MAX {
        return Err(Unreadable::NotAmqp);
    }
    let Some((frame, after)) = bytes.split_at_checked(FRAME_START + size as usize + 1) else {
        return Ok(None);
    };
    if frame.last() != Some(&FRAME_END) {
        Err(Unreadable::NotAmqp)
    } else {
        Ok(Some((frame, after)))
    }
}
