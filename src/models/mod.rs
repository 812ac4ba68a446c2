//! What models of the threads are made of. A model stands beside what it is a model of, in a module
//! `models`; `docs/reliability.md` says how to run them, and what they cannot see.

mod explore;
mod history;
mod source;

pub(crate) use explore::explore;
pub(crate) use history::{Act, History};
pub(crate) use source::Source;
