//! The life of an invitation, as a table of what was seen and what follows.

mod answers;
mod expiry;
mod follow_up;
mod holds;
mod mail;
mod measure;
mod schedule;
