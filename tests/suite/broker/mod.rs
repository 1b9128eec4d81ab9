//! The broker's edge, against a real broker: what is declared, what is said, what a copy carries.

mod copies;
mod node;
mod settler;
mod settling;
mod sieve;
mod tls;
mod topology;
