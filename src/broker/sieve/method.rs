//! The methods that a broker sends, and what the client reads of each.

use super::MAX_HEADERS;
use super::alterations::Alterations;
use super::table::sift_table;
use super::walk::Walk;

/// The largest frame that the broker offers by connection.tune, which begins with the largest number of a channel.
pub(super) fn frame_max(method: &[u8]) -> Option<u32> {
    let size = method.strip_prefix(&[0, 10, 0, 30])?.get(2..)?.first_chunk()?;
    // Zero means that there is no limit.
    Some(u32::from_be_bytes(*size)).filter(|size| *size > 0)
}

/// What the client reads of a method.
pub(super) enum Fields {
    /// Nothing that could do harm.
    Harmless,
    /// So many short texts, then so many bytes of other fields, then so many texts.
    Texts(usize, usize, usize),
    /// Those of connection.start.
    Start,
}

/// The fields of a method; `None` if it is none that a broker sends: the client would read it, with all its tables.
pub(super) fn fields_of(method: &[u8]) -> Option<Fields> {
    let (id, _) = method.split_first_chunk()?;
    Some(match id {
        [0, 10, 0, 10] => Fields::Start,
        // connection.open-ok: known hosts. connection.blocked: reason.
        [0, 10, 0, 41 | 60] => Fields::Texts(1, 0, 0),
        // connection.close and channel.close: code; text. RabbitMQ cuts it at 255 bytes, also inside a character.
        [0, 10, 0, 50] | [0, 20, 0, 40] => Fields::Texts(0, 2, 1),
        // queue.declare-ok: name.
        [0, 50, 0, 11] => Fields::Texts(1, 0, 0),
        // basic.consume-ok, basic.cancel, basic.cancel-ok: consumer tag. basic.get-empty: cluster id.
        [0, 60, 0, 21 | 30 | 31 | 72] => Fields::Texts(1, 0, 0),
        // basic.deliver: consumer tag; delivery tag, redelivered; exchange, routing key.
        [0, 60, 0, 60] => Fields::Texts(1, 9, 2),
        // basic.get-ok: delivery tag, redelivered; exchange, routing key.
        [0, 60, 0, 71] => Fields::Texts(0, 9, 2),
        // basic.return: code; text, exchange, routing key.
        [0, 60, 0, 50] => Fields::Texts(0, 2, 3),
        // connection: secure, tune, close-ok, unblocked, update-secret-ok. channel: open-ok, flow, flow-ok, close-ok.
        [0, 10, 0, 20 | 30 | 51 | 61 | 71] | [0, 20, 0, 11 | 20 | 21 | 41] => Fields::Harmless,
        // exchange: declare-ok, delete-ok, bind-ok, unbind-ok. queue: bind-ok, purge-ok, delete-ok, unbind-ok.
        [0, 40, 0, 11 | 21 | 31 | 51] | [0, 50, 0, 21 | 31 | 41 | 51] => Fields::Harmless,
        // basic: qos-ok, ack, recover-ok, nack. confirm.select-ok.
        [0, 60, 0, 11 | 80 | 111 | 120] | [0, 85, 0, 11] => Fields::Harmless,
        _ => return None,
    })
}

/// connection.start with a harmless table of the broker's properties, when it has another one. It comes before the
/// login: whoever listens at the broker's address can send it. `None` if it cannot be read.
pub(super) fn start(mut walk: Walk<'_>) -> Option<Option<Vec<u8>>> {
    let id_and_version = walk.take(4 + 2)?;
    let table = walk.long_bytes()?;
    let after = walk.rest();
    let sifted = sift_table(table, MAX_HEADERS, &mut Alterations::default());
    if sifted == table {
        return Some(None);
    }
    let size = u32::try_from(sifted.len()).ok()?.to_be_bytes();
    Some(Some([id_and_version, &size, &sifted, after].concat()))
}
