//! What the threads of a model did, and whether some order explains it.

use std::fmt;
use std::sync::Mutex;

/// The acts of all threads. Its lock is none of the model's: nobody waits for it.
#[derive(Default)]
pub(crate) struct History(Mutex<Recorded>);

#[derive(Default)]
struct Recorded {
    /// Moves with each beginning and each end.
    clock: usize,
    events: Vec<Event>,
}

#[derive(Clone, Copy)]
struct Event {
    key: &'static str,
    act: Act,
    begun: usize,
    ended: usize,
}

/// What was done to a key, or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Put(u64),
    /// With the tag.
    PutTagged(u64),
    Remove,
    /// Whenever the key has the tag, and so perhaps more than once.
    RemoveTagged,
    Get(Option<u64>),
}

impl History {
    /// Does something, which says what it was when it has ended: nothing, if it failed.
    pub fn record<R>(&self, act: impl FnOnce() -> (R, Vec<(&'static str, Act)>)) -> R {
        let begun = self.0.lock().unwrap().tick();
        let (result, acts) = act();
        let mut recorded = self.0.lock().unwrap();
        let ended = recorded.tick();
        let events = acts.into_iter().map(|(key, act)| Event { key, act, begun, ended });
        recorded.events.extend(events);
        result
    }

    /// How often that was put.
    pub fn puts(&self, key: &str, value: u64) -> usize {
        let puts = |event: &&Event| {
            event.key == key
                && matches!(event.act, Act::Put(put) | Act::PutTagged(put) if put == value)
        };
        self.0.lock().unwrap().events.iter().filter(puts).count()
    }

    /// Panics unless the acts on each key can be brought into an order in which each get finds what was
    /// put last, and no act comes before one that had ended when it began.
    #[track_caller]
    pub fn check(&self) {
        let mut left = self.0.lock().unwrap().events.clone();
        left.sort_by_key(|event| (event.key, event.begun));
        for events in left.chunk_by(|a, b| a.key == b.key) {
            assert!(is_explained(None, events), "no order explains {events:#?}");
        }
    }
}

impl Recorded {
    fn tick(&mut self) -> usize {
        self.clock += 1;
        self.clock
    }
}

/// What a key has.
#[derive(Clone, Copy)]
struct Entry {
    value: u64,
    tagged: bool,
}

/// Whether what is left can follow when the key has this `entry`.
fn is_explained(entry: Option<Entry>, left: &[Event]) -> bool {
    let Some(first_end) = left.iter().map(|event| event.ended).min() else { return true };
    left.iter().enumerate().any(|(index, event)| {
        let next = match event.act {
            Act::Put(value) => Some(Entry { value, tagged: false }),
            Act::PutTagged(value) => Some(Entry { value, tagged: true }),
            Act::Remove => None,
            Act::RemoveTagged => entry.filter(|entry| !entry.tagged),
            Act::Get(found) if found == entry.map(|entry| entry.value) => entry,
            Act::Get(_) => return false,
        };
        let again = event.act == Act::RemoveTagged && entry.is_some() && next.is_none();
        event.begun <= first_end && {
            let others = left.iter().enumerate().filter(|(other, _)| *other != index);
            is_explained(next, &others.map(|(_, event)| *event).collect::<Vec<_>>())
                || (again && is_explained(next, left))
        }
    })
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, act, begun, ended } = self;
        write!(f, "{begun} to {ended}: {act:?} of {key:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acts with their beginnings and ends.
    fn explained(events: &[(Act, usize, usize)]) -> bool {
        let event = |&(act, begun, ended)| Event { key: "a", act, begun, ended };
        is_explained(None, &events.iter().map(event).collect::<Vec<_>>())
    }

    #[test]
    fn models_of_a_history_are_judged() {
        use Act::{Get, Put, PutTagged, Remove, RemoveTagged};
        assert!(explained(&[(Put(1), 1, 2), (Get(Some(1)), 3, 4)]));
        assert!(explained(&[(Put(1), 1, 4), (Get(None), 2, 3)]), "it may come later");
        assert!(!explained(&[(Put(1), 1, 2), (Get(None), 3, 4)]));
        assert!(!explained(&[(Put(1), 1, 2), (Remove, 3, 4), (Get(Some(1)), 5, 6)]));
        assert!(explained(&[(Put(1), 1, 2), (Remove, 3, 6), (Get(Some(1)), 4, 5)]));
        let back = [(Put(1), 1, 2), (Remove, 3, 8), (Get(None), 4, 5), (Get(Some(1)), 6, 7)];
        assert!(!explained(&back), "what was found gone is gone");

        assert!(explained(&[(PutTagged(1), 1, 2), (RemoveTagged, 3, 4), (Get(None), 5, 6)]));
        assert!(!explained(&[(PutTagged(1), 1, 2), (RemoveTagged, 3, 4), (Get(Some(1)), 5, 6)]));
        assert!(explained(&[(Put(1), 1, 2), (RemoveTagged, 3, 4), (Get(Some(1)), 5, 6)]));
        assert!(!explained(&[(Put(1), 1, 2), (RemoveTagged, 3, 4), (Get(None), 5, 6)]));
        let twice =
            [(Get(None), 4, 5), (PutTagged(2), 6, 7), (Get(Some(2)), 8, 9), (Get(None), 11, 12)];
        let before = [(PutTagged(1), 1, 2), (RemoveTagged, 3, 10)];
        assert!(explained(&[before.as_slice(), &twice].concat()));
        let before = [(PutTagged(1), 1, 2), (RemoveTagged, 3, 7)];
        assert!(!explained(&[before.as_slice(), &twice].concat()), "it had ended");
    }
}
