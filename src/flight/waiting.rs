//! Which loads wait for which. Two loaders of which each waits for the load of the other would wait for ever; so
//! the one that closes such a circle is refused. Loads of all caches are in here, because a circle may lead over
//! several of them.

use crate::sync::StillMutex;

/// Each load whose loader waits, and the one it waits for, by address: as long as a pair is in here, its loads live.
static WAITS: StillMutex<Vec<(usize, usize)>> = StillMutex::new(Vec::new());

/// While it lives, these loads wait for that one.
#[derive(Debug)]
pub(super) struct Waiting {
    loads: Vec<usize>,
    target: usize,
}

impl Waiting {
    /// The loaders of `loads`, each called by the one before, are about to wait for `target`; `None` if they would wait
    /// for themselves. Where no loader runs nothing is done.
    pub fn begin(loads: &[usize], target: usize) -> Option<Self> {
        if !loads.is_empty() {
            let mut waits = WAITS.lock();
            if leads_to(&waits, target, loads) {
                return None;
            }
            waits.extend(loads.iter().map(|load| (*load, target)));
        }
        Some(Self { loads: loads.to_vec(), target })
    }
}

/// Whether `from` is one of `loads`, or waits for one of them, be it by way of others.
fn leads_to(waits: &[(usize, usize)], from: usize, loads: &[usize]) -> bool {
    let (mut seen, mut next) = (vec![from], 0);
    while let Some(&load) = seen.get(next) {
        if loads.contains(&load) {
            return true;
        }
        for (_, target) in waits.iter().filter(|(waiter, _)| *waiter == load) {
            if !seen.contains(target) {
                seen.push(*target);
            }
        }
        next += 1;
    }
    false
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.loads.is_empty() {
            return;
        }
        let mut waits = WAITS.lock();
        for load in &self.loads {
            // One load may wait for another several times.
            if let Some(at) = waits.iter().position(|pair| *pair == (*load, self.target)) {
                waits.swap_remove(at);
            }
        }
    }
}
