//! Several processes on one file, all of them working, some of them killed: what the unit of F10 to F14
//! is where nobody waits for anybody. (One process after the other is the matter of
//! `behaviour/processes.rs`.)
//!
//! `DBC_LONG=1` plays longer, `DBC_SEED` plays a run again, as far as the system's own scheduling
//! permits.

#[path = "processes/child.rs"]
mod child;
#[path = "processes/crowd.rs"]
mod crowd;
#[path = "fixtures/format_1.rs"]
mod format_1;
#[path = "processes/opening.rs"]
mod opening;
#[path = "processes/packet.rs"]
mod packet;
#[path = "report/mod.rs"]
mod report;
#[path = "processes/run.rs"]
mod run;
#[path = "processes/staleness.rs"]
mod staleness;
#[path = "processes/touches.rs"]
mod touches;
#[path = "processes/versions.rs"]
mod versions;
#[path = "processes/worker.rs"]
mod worker;
