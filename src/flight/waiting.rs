//! Which loads wait for which. Two loaders of which each waits for the load of the other would wait for ever; so
//! the one that closes such a circle is refused. Loads of all caches are in here, because a circle may lead over
//! several of them.

use crate::sync::StillMutex;
use std::num::NonZeroU64;

/// Who waits for a load, or is waited for by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Load(NonZeroU64),
    #[cfg_attr(not(feature = "future"), expect(dead_code, reason = "threads do it all themselves"))]
    Errand(NonZeroU64),
}

/// Each load whose loader waits, and the one it waits for. (A future that waits may be taken out of its loader, and
/// outlive that one's load.)
static WAITS: StillMutex<Vec<(Asker, Asker)>> = StillMutex::new(Vec::new());

/// While it lives, these loads wait for that one.
#[derive(Debug)]
pub(super) struct Waiting {
    loads: Vec<Asker>,
    target: Asker,
}

impl Waiting {
    /// The loaders of `loads`, each called by the one before, are about to wait for `target`; `None` if they would wait
    /// for themselves. Where no loader runs nothing is done.
    pub fn begin(loads: &[Asker], target: Asker) -> Option<Self> {
        if !loads.is_empty() {
            let mut waits = WAITS.lock();
            if leads_to(&waits, target, loads, |_| true) {
                return None;
            }
            waits.extend(loads.iter().map(|load| (*load, target)));
        }
        Some(Self { loads: loads.to_vec(), target })
    }
}

/// Whether one of `loads` is `load`, or does an errand of it.
pub(super) fn is_done_by(load: Asker, loads: &[Asker]) -> bool {
    let is_errand = |target| matches!(target, Asker::Errand(_));
    loads.contains(&load) || !loads.is_empty() && leads_to(&WAITS.lock(), load, loads, is_errand)
}

/// Whether `from` is one of `loads`, or waits for one of them, be it by way of others `by` which that counts.
fn leads_to(
    waits: &[(Asker, Asker)],
    from: Asker,
    loads: &[Asker],
    by: impl Fn(Asker) -> bool,
) -> bool {
    let (mut seen, mut next) = (vec![from], 0);
    while let Some(&load) = seen.get(next) {
        if loads.contains(&load) {
            return true;
        }
        for (_, target) in waits.iter().filter(|(waiter, _)| *waiter == load) {
            if by(*target) && !seen.contains(target) {
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
