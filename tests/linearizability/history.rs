//! What threads did to one key, and whether one order of it explains what they were answered.
//!
//! The search is Wing and Gong's, with memory of what was tried (Lowe, "Testing for
//! linearizability"): of the actions that may come next, because none that is left ended before
//! they began, take each in turn and see whether the rest can follow.

use std::collections::HashSet;
use std::fmt::{self, Write};

/// What a thread did to a key, with the answer it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// No two writes of a history carry the same number.
    Wrote(u64),
    Read(Option<u64>),
    /// Asked whether the key is there.
    Asked(bool),
    /// Deleted the key, and was told whether it was there.
    Deleted(bool),
    /// Removed the key, and was told nothing about it.
    Removed,
    /// The same of what has the tag, once or, if it was put again meanwhile, more often.
    RemovedTagged,
    /// Found the one, which may be nothing, and left the other in its place.
    Swapped(Option<u64>, Option<u64>),
    /// Found nothing, and loaded a number of its own.
    Loaded(u64),
    /// Left a put of the number, or a delete, before it had ended: it is done at any time later, or never.
    Left(Option<u64>),
    /// Would have loaded, and was answered with the number of another: found, or being loaded.
    Shared(u64),
}

/// The bit of the numbers that are written with the tag.
pub const TAGGED: u64 = 1 << 62;

fn is_tagged(held: Option<u64>) -> bool {
    held.is_some_and(|number| number & TAGGED != 0)
}

/// An action with the moments between which it happened.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub thread: usize,
    pub began: u64,
    pub ended: u64,
    pub action: Action,
}

/// What else than the threads may change a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Nothing: absent means removed.
    Register,
    /// An eviction may remove it at any time, for good.
    Evicting,
    /// As `Evicting`; and an entry may be too old for one thread's time and not for another's, so
    /// that who does not find it has learnt nothing.
    Expiring,
}

impl Model {
    /// What the key may hold after `action` on what it held; nothing if that cannot have been the answer.
    fn step(self, held: Option<u64>, action: Action) -> impl Iterator<Item = Option<u64>> {
        let then = match action {
            // A load that was overtaken stores nothing.
            Action::Loaded(number) if held.is_none() || self != Self::Register => {
                [Some(Some(number)), Some(None)]
            }
            Action::Left(then) => [Some(then), Some(held)],
            _ => [self.only_step(held, action), None],
        };
        then.into_iter().flatten()
    }

    /// The same of actions that have one outcome.
    ///
    /// Spontaneous removals are made out when they are seen: one that nobody sees might as well not
    /// have happened yet.
    fn only_step(self, held: Option<u64>, action: Action) -> Option<Option<u64>> {
        match action {
            Action::Loaded(_) | Action::Left(_) => None,
            Action::Swapped(None, then) if self != Self::Register => Some(then),
            Action::Swapped(found, then) => (held == found).then_some(then),
            // The load that answered may have stored nothing.
            Action::Shared(number) => held.is_none_or(|held| held == number).then_some(held),
            Action::Wrote(number) => Some(Some(number)),
            Action::Removed => Some(None),
            Action::RemovedTagged => Some(held.filter(|_| !is_tagged(held))),
            Action::Read(Some(number)) => (held == Some(number)).then_some(held),
            Action::Asked(true) => held.is_some().then_some(held),
            Action::Deleted(true) => held.is_some().then_some(None),
            Action::Read(None) | Action::Asked(false) | Action::Deleted(false)
                if self == Self::Register =>
            {
                held.is_none().then_some(None)
            }
            Action::Read(None) | Action::Asked(false) if self == Self::Expiring => Some(held),
            Action::Read(None) | Action::Asked(false) | Action::Deleted(false) => Some(None),
        }
    }
}

/// The longest history: one bit for each event.
const LONGEST: usize = u128::BITS as usize;

/// Whether some order of `events` that respects their moments is one that `model` allows, if the key
/// holds nothing at first.
pub fn is_linearizable(model: Model, events: &[Event]) -> bool {
    assert!(events.len() <= LONGEST, "{} events of one key: make rounds shorter", events.len());
    let events = &events.iter().map(|event| event.strictly(events)).collect::<Vec<_>>();
    let mut seen = HashSet::new();
    let mut untried = vec![(0_u128, None)];
    while let Some((done, held)) = untried.pop() {
        if done.count_ones() as usize == events.len() {
            return true;
        }
        if !seen.insert((done, held)) {
            continue;
        }
        let next: Vec<_> = possible_next(events, done)
            .flat_map(|at| {
                let action = events[at].action;
                let again = action == Action::RemovedTagged && is_tagged(held);
                let ended = model.step(held, action).map(move |then| (done | 1 << at, then));
                ended.chain(again.then_some((done, None))).map(move |state| (action, state))
            })
            .collect();
        // What changes nothing may as well come first, if it could not change anything later.
        let idle = next.iter().find(|(action, (_, then))| *then == held && observes(*action));
        match idle {
            Some((_, state)) => untried.push(*state),
            None => untried.extend(next.into_iter().map(|(_, state)| state)),
        }
    }
    false
}

/// The events not yet `done` that began before any other of those ended.
fn possible_next(events: &[Event], done: u128) -> impl Iterator<Item = usize> {
    let left = move |at: &usize| done & (1 << at) == 0;
    let first_end = (0..events.len()).filter(left).map(|at| events[at].ended).min();
    (0..events.len()).filter(left).filter(move |&at| Some(events[at].began) < first_end)
}

/// Whether nothing that comes later can need what the action does to the key.
fn observes(action: Action) -> bool {
    !matches!(
        action,
        Action::Wrote(_)
            | Action::Removed
            | Action::RemovedTagged
            | Action::Deleted(true)
            | Action::Loaded(_)
            | Action::Left(_)
            | Action::Swapped(..)
    )
}

/// The events in the order in which they began, for people to read.
pub fn told(events: &[Event]) -> String {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.began);
    events.iter().fold(String::new(), |mut text, event| {
        writeln!(text, "{event}").expect("a String takes whatever is written");
        text
    })
}

impl Event {
    /// An answer that no load at the same time can have given was found.
    fn strictly(&self, all: &[Self]) -> Self {
        let Action::Shared(number) = self.action else { return *self };
        let made = [Action::Loaded(number), Action::Left(Some(number))];
        let mut loads = all.iter().filter(|load| made.contains(&load.action));
        if loads.any(|load| load.began < self.ended && self.began < load.ended) {
            return *self;
        }
        Self { action: Action::Read(Some(number)), ..*self }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thread, began, ended, action } = self;
        write!(f, "{began:>9} to {ended:>9}, thread {thread}: {action:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::Action::{
        Asked, Deleted, Left, Loaded, Read, Removed, RemovedTagged, Shared, Swapped, Wrote,
    };
    use super::*;

    const MODELS: [Model; 3] = [Model::Register, Model::Evicting, Model::Expiring];

    /// The models that explain actions with these moments.
    fn explained_by(actions: &[(u64, u64, Action)]) -> Vec<Model> {
        let event = |&(began, ended, action)| Event { thread: 0, began, ended, action };
        let events: Vec<_> = actions.iter().map(event).collect();
        MODELS.into_iter().filter(|model| is_linearizable(*model, &events)).collect()
    }

    #[test]
    fn what_happens_at_the_same_time_happens_in_either_order() {
        let both = |read| [(0, 1, Wrote(1)), (2, 5, Wrote(2)), (3, 4, Read(Some(read)))];
        assert_eq!(explained_by(&both(1)), MODELS);
        assert_eq!(explained_by(&both(2)), MODELS);
        assert_eq!(explained_by(&both(3)), []);
    }

    #[test]
    fn a_read_after_a_write_does_not_see_what_was_there_before() {
        let stale = [(0, 1, Wrote(1)), (2, 3, Wrote(2)), (4, 5, Read(Some(1)))];
        assert_eq!(explained_by(&stale), []);
        let deleted = [(0, 1, Wrote(1)), (2, 3, Deleted(true)), (4, 5, Read(Some(1)))];
        assert_eq!(explained_by(&deleted), []);
        let cleared = [(0, 1, Wrote(1)), (2, 3, Removed), (4, 5, Asked(true))];
        assert_eq!(explained_by(&cleared), []);
    }

    #[test]
    fn two_reads_do_not_see_one_write_in_both_orders() {
        let during = |first, second| {
            let (first, second) = (Read(Some(first)), Read(Some(second)));
            [(0, 1, Wrote(1)), (2, 9, Wrote(2)), (3, 4, first), (5, 6, second)]
        };
        assert_eq!(explained_by(&during(1, 2)), MODELS);
        assert_eq!(explained_by(&during(2, 1)), []);
    }

    #[test]
    fn only_evictions_and_expiry_explain_that_an_entry_vanished() {
        let evicting = [Model::Evicting, Model::Expiring];
        assert_eq!(explained_by(&[(0, 1, Wrote(1)), (2, 3, Read(None))]), evicting);
        assert_eq!(explained_by(&[(0, 1, Wrote(1)), (2, 3, Asked(false))]), evicting);
        assert_eq!(explained_by(&[(0, 1, Wrote(1)), (2, 3, Deleted(false))]), evicting);
    }

    #[test]
    fn what_was_evicted_does_not_come_back() {
        let back = |gone| [(0, 1, Wrote(1)), (2, 3, gone), (4, 5, Read(Some(1)))];
        assert_eq!(explained_by(&back(Read(None))), [Model::Expiring]);
        assert_eq!(explained_by(&back(Asked(false))), [Model::Expiring]);
        assert_eq!(explained_by(&back(Deleted(false))), []);
    }

    #[test]
    fn a_removal_waits_for_the_moment_at_which_it_is_needed() {
        let actions = [(0, 9, Removed), (1, 2, Read(None)), (3, 4, Wrote(1)), (5, 6, Read(None))];
        assert_eq!(explained_by(&actions), MODELS);
        let actions = [(0, 9, Deleted(false)), (1, 2, Wrote(1)), (3, 4, Read(Some(1)))];
        assert_eq!(explained_by(&actions), MODELS);
    }

    #[test]
    fn a_load_finds_nothing_and_may_store_nothing() {
        let late = [(0, 1, Wrote(1)), (2, 3, Loaded(2))];
        assert_eq!(explained_by(&late), [Model::Evicting, Model::Expiring]);
        assert_eq!(explained_by(&[(0, 1, Loaded(1)), (2, 3, Read(Some(1)))]), MODELS);
        assert_eq!(explained_by(&[(0, 1, Loaded(1)), (2, 3, Read(None))]), MODELS);
        let overtaken = [(0, 5, Loaded(1)), (1, 2, Wrote(2)), (6, 7, Read(Some(1)))];
        assert_eq!(explained_by(&overtaken), [Model::Evicting, Model::Expiring]);
        let shared = |began, ended| {
            [
                (0, 5, Loaded(1)),
                (1, 2, Deleted(false)),
                (began, ended, Shared(1)),
                (8, 9, Read(None)),
            ]
        };
        assert_eq!(explained_by(&shared(3, 6)), MODELS);
        let evicting = [Model::Evicting, Model::Expiring];
        assert_eq!(explained_by(&shared(6, 7)), evicting, "it was stored, and then evicted");
    }

    #[test]
    fn a_swap_finds_what_is_there() {
        let swap = |found, then| [(0, 1, Wrote(1)), (2, 3, Swapped(found, then))];
        assert_eq!(explained_by(&swap(Some(1), None)), MODELS);
        assert_eq!(explained_by(&swap(Some(2), Some(3))), []);
        assert_eq!(explained_by(&swap(None, Some(2))), [Model::Evicting, Model::Expiring]);
        let twice =
            [(0, 1, Wrote(1)), (2, 5, Swapped(Some(1), None)), (3, 4, Swapped(Some(1), None))];
        assert_eq!(explained_by(&twice), []);
    }

    #[test]
    fn what_was_left_is_done_once_or_never() {
        let left = |then| [(0, 1, Wrote(1)), (2, u64::MAX, Left(Some(2))), then];
        assert_eq!(explained_by(&left((4, 5, Read(Some(1))))), MODELS);
        assert_eq!(explained_by(&left((4, 5, Read(Some(2))))), MODELS);
        let back = [(3, 4, Read(Some(2))), (5, 6, Wrote(3)), (7, 8, Read(Some(2)))];
        let back: Vec<_> = left(back[0]).into_iter().chain(back.into_iter().skip(1)).collect();
        assert_eq!(explained_by(&back), []);
        let early = [(0, 1, Wrote(1)), (2, 3, Read(None)), (4, u64::MAX, Left(None))];
        assert_eq!(explained_by(&early), [Model::Evicting, Model::Expiring]);
        let deleted = [(0, 1, Wrote(1)), (2, u64::MAX, Left(None)), (4, 5, Read(None))];
        assert_eq!(explained_by(&deleted), MODELS);
    }

    #[test]
    fn what_has_the_tag_goes_and_nothing_else() {
        let tagged = |number| Wrote(number | TAGGED);
        let gone = |write, then| [(0, 1, write), (2, 3, RemovedTagged), (4, 5, Read(then))];
        assert_eq!(explained_by(&gone(tagged(1), None)), MODELS);
        assert_eq!(explained_by(&gone(tagged(1), Some(1 | TAGGED))), []);
        assert_eq!(explained_by(&gone(Wrote(1), Some(1))), MODELS);
        assert_eq!(explained_by(&gone(Wrote(1), None)), [Model::Evicting, Model::Expiring]);
        let twice = |ended| {
            let again = [(4, 5, Read(None)), (6, 7, tagged(2)), (8, 9, Read(None))];
            [(0, 1, tagged(1)), (2, ended, RemovedTagged)].into_iter().chain(again)
        };
        assert_eq!(explained_by(&twice(10).collect::<Vec<_>>()), MODELS);
        let evicting = [Model::Evicting, Model::Expiring];
        assert_eq!(explained_by(&twice(3).collect::<Vec<_>>()), evicting);
    }

    #[test]
    fn each_write_is_deleted_once() {
        let one = [(0, 1, Wrote(1)), (2, 5, Deleted(true)), (3, 4, Deleted(true))];
        assert_eq!(explained_by(&one), []);
        let two =
            [(0, 1, Wrote(1)), (2, 5, Deleted(true)), (3, 4, Deleted(true)), (2, 6, Wrote(2))];
        assert_eq!(explained_by(&two), MODELS);
    }
}
