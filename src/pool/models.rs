//! Models of a pool. See `crate::models`.

use super::*;
use crate::gate::Gate;
use crate::models::explore;
use crate::sync::block_on;

/// Two threads give work to a pool, half of which waits for the other thread's. All of it is done, by no
/// more threads than there may be, and these rest in the end.
fn check(most: usize) {
    let pool = Pool::of(most);
    let gates = [(); 2].map(|()| Arc::new(Gate::default()));
    let spawn = |own: usize| {
        let (pool, gates) = (Arc::clone(&pool), gates.clone());
        sync::thread::spawn(move || {
            let [opens, waits] = [own, 1 - own].map(|index| Arc::clone(&gates[index]));
            let waiting = pool.run(async move || waits.opened().await);
            drop(pool.run(async move || opens.open()));
            block_on(waiting);
            assert!(pool.queue.lock().threads <= most);
        })
    };
    [0, 1].map(spawn).into_iter().for_each(|thread| thread.join().unwrap());
    while pool.queue.lock().threads > 0 {
        sync::thread::yield_now();
    }
    assert!(pool.queue.lock().ready.is_empty());
}

#[test]
fn of_one_thread() {
    explore(|| check(1));
}

#[test]
fn of_two_threads() {
    explore(|| check(2));
}
