//! The fake over real HTTP, as its clients meet it.

mod access;
mod answers;
mod client;
mod clock;
mod control;
mod faults;
mod generations;
mod life;
mod quota;
mod tls;
mod tokens;
mod violations;
