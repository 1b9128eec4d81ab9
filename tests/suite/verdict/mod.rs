//! What a reply means and what becomes of a message, by tables, golden files and properties.

mod outcomes;
mod properties;
mod replies;
