//! Locks, atomics and waiting, for the whole crate.
//!
//! Unit tests built with `--cfg shuttle` take them from shuttle instead, which runs the threads of a
//! model one at a time, in an order of its own choice, and sees when nobody can go on. So whatever
//! threads wait for, or tell each other, goes through here. Three things do not: clocks, which models
//! have none of; the background thread of a file, which waits for moments of such a clock; and
//! `OnceLock`, of which nobody waits to be set.

#[cfg(feature = "future")]
mod crew;
mod nested;
#[cfg(feature = "future")]
mod reserve;
mod stack;
mod task;
mod unwanted;
#[cfg(not(all(test, shuttle)))]
mod wait;

#[cfg(feature = "future")]
pub(crate) use crew::{Crew, work_for};
pub(crate) use nested::{Nested, depth};
#[cfg(feature = "future")]
pub(crate) use reserve::Reserve;
#[cfg(all(feature = "future", test, shuttle))]
pub(crate) use reserve::{Start, start};
pub(crate) use stack::Stack;
#[cfg(feature = "future")]
pub(crate) use task::as_task;
pub(crate) use task::{Task, new_number};
pub(crate) use unwanted::drop_unwanted;

#[cfg(not(all(test, shuttle)))]
mod of_the_system {
    #[cfg(feature = "future")]
    pub(crate) use super::crew::{block_on, sleep};
    #[cfg(not(feature = "future"))]
    pub(crate) use super::wait::block_on;
    pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
    pub(crate) use std::sync::atomic;
    #[cfg(feature = "future")]
    pub(crate) use std::sync::mpsc;
    pub(crate) use std::thread;
    #[cfg(not(feature = "future"))]
    pub(crate) use std::thread::sleep;
    pub(crate) use std::thread_local;
}

#[cfg(all(test, shuttle))]
mod of_the_model {
    pub(crate) use shuttle::future::block_on;
    pub(crate) use shuttle::sync::atomic;
    #[cfg(feature = "future")]
    pub(crate) use shuttle::sync::mpsc;
    pub(crate) use shuttle::thread;
    pub(crate) use shuttle::thread::sleep;
    pub(crate) use shuttle::thread_local;
    pub(crate) use shuttle_parking_lot::{Mutex, MutexGuard, RwLock};
}

/// Of what is held for a few steps that do nothing else, and so may lie in a `static`: a model need not see it.
pub(crate) use parking_lot::Mutex as StillMutex;

#[cfg(not(all(test, shuttle)))]
pub(crate) use of_the_system::*;

#[cfg(all(test, shuttle))]
pub(crate) use of_the_model::*;
