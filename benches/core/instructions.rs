//! Takes so many messages through the pure core, for a program that counts instructions.

mod path;

use mimecast_eventd::verdict::Disposition;
use path::Core;
use std::hint::black_box;

fn main() {
    let messages = std::env::args().nth(1).and_then(|text| text.parse::<usize>().ok());
    let messages = messages.expect("the number of messages is the only argument");
    let core = Core::new();
    for _ in 0..messages {
        assert_eq!(black_box(&core).path(), Disposition::Ack);
    }
}
