//! What the cache makes of a disk that fails, loses power, or is full.
//!
//! `DBC_LONG=1` runs the long form, `DBC_SEED` repeats a run.

mod every_call;
mod every_operation;
mod findings;
#[path = "../../../../tests/fixtures/format_1.rs"]
mod format_1;
mod long_log;
mod mending;
mod migration;
mod model;
mod operations;
mod power_cuts;
#[path = "../../../../tests/report/mod.rs"]
mod report;
mod run;
mod script;
mod shared_keys;
mod short_reads;
mod support;
mod threads;
mod watchdog;
