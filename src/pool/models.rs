//! Models of a pool. See `crate::models`.

use super::*;
use crate::gate::Gate;
use crate::models::explore;
use crate::sync::{Start, block_on, start};
use shuttle::rand::{Rng, thread_rng};
use std::io;
use std::time::Duration;

/// Two threads give work to a pool, half of which waits for the other thread's. All of it is done, by no
/// more threads than there may be, and these rest in the end.
fn check(most: usize, start_fails: bool) {
    let start: Start = if start_fails { start_perhaps } else { start };
    let pool = Pool::of(most, Reserve::new(start, Duration::ZERO));
    let gates = [(); 2].map(|()| Arc::new(Gate::default()));
    let spawn = |own: usize| {
        let (pool, gates) = (Arc::clone(&pool), gates.clone());
        sync::thread::spawn(move || {
            let [opens, waits] = [own, 1 - own].map(|index| Arc::clone(&gates[index]));
            let waiting = pool.run(async move || waits.opened().await);
            let opening = pool.run(async move || opens.open());
            if start_fails {
                // Nobody else might ask again for its thread.
                block_on(opening);
            } else {
                drop(opening);
            }
            block_on(waiting);
            assert!(pool.queue.lock().threads <= most);
        })
    };
    [0, 1].map(spawn).into_iter().for_each(|thread| thread.join().unwrap());
    while pool.queue.lock().threads > 0 {
        pool.reserve.ask_again();
        sync::thread::yield_now();
    }
    assert!(pool.queue.lock().ready.is_empty());
}

/// Starts a thread, unless the system has none to give.
fn start_perhaps(reserve: Arc<Reserve>) -> io::Result<()> {
    if thread_rng().gen_bool(0.5) { start(reserve) } else { Err(io::ErrorKind::WouldBlock.into()) }
}

#[test]
fn of_one_thread() {
    explore(|| check(1, false));
}

#[test]
fn of_two_threads() {
    explore(|| check(2, false));
}

#[test]
fn of_threads_that_cannot_always_be_started() {
    explore(|| check(2, true));
}
