//! The story from outside: messages, outages, pauses, sessions and the life of the process.

mod acks;
mod dry_run;
mod due;
mod effects;
mod files;
mod forged;
mod guards;
mod hand;
mod held;
mod incident;
mod innocents;
mod judging;
mod lookups;
mod messages;
mod moved;
mod outage;
mod outcomes;
mod permissions;
mod policy;
mod process;
mod reload;
mod session;
mod stop;
mod supervisor;
mod switched;
mod traces;
