//! The broker's edge, against a real broker: what is declared, what is said, what a copy carries.

mod copies;
mod dead_letters;
mod malicious;
mod node;
mod nodes;
mod policies;
mod settler;
mod settling;
mod sieve;
mod tls;
mod topology;
