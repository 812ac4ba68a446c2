//! Which loads wait for which. Two loaders of which each waits for the load of the other would wait for ever; so
//! the one that closes such a circle is refused. Loads of all caches are in here, because a circle may lead over
//! several of them.

use crate::sync::StillMutex;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

/// Who waits for a load, or is waited for by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asker {
    Load(NonZeroU64),
    #[cfg_attr(not(feature = "future"), expect(dead_code, reason = "threads do it all themselves"))]
    Errand(NonZeroU64),
}

/// Each load whose loader waits, and what it waits for. (A future that waits may be taken out of its loader, and
/// outlive that one's load.)
type Waits = BTreeMap<Asker, Vec<Asker>>;

static WAITS: StillMutex<Waits> = StillMutex::new(Waits::new());

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
            loads.iter().for_each(|load| waits.entry(*load).or_default().push(target));
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
fn leads_to(waits: &Waits, from: Asker, loads: &[Asker], by: impl Fn(Asker) -> bool) -> bool {
    let (mut seen, mut next) = (BTreeSet::from([from]), vec![from]);
    while let Some(load) = next.pop() {
        if loads.contains(&load) {
            return true;
        }
        let targets = waits.get(&load).into_iter().flatten();
        next.extend(targets.filter(|target| by(**target) && seen.insert(**target)));
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
            let Some(targets) = waits.get_mut(load) else { continue };
            // One load may wait for another several times.
            if let Some(at) = targets.iter().position(|target| *target == self.target) {
                targets.swap_remove(at);
            }
            if targets.is_empty() {
                waits.remove(load);
            }
        }
    }
}
