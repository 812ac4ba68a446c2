//! What a child said it did.

use std::collections::HashMap;
use std::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Open,
    Close,
    /// Of a put the keys get the numbers from the operation's own on.
    Put(Vec<u32>),
    /// A put of one key, perhaps: what is there decides. It is committed when it ends.
    Swap(u32),
    /// A get that puts where it finds nothing.
    Load(u32),
    /// One that had what it found reloaded.
    Hit(u32),
    /// The put that this may come to. It loses to whatever is begun later.
    Reload(u32),
    Get(u32),
    Touch(u32),
    Delete(Vec<u32>),
    Clear,
    Flush,
    Maintain,
    /// What asks the file, which has what waited by then.
    Len,
    /// Nothing that the file could tell.
    Other,
}

#[derive(Clone, Debug)]
pub struct Operation {
    pub number: u64,
    /// Of which collection of the file.
    pub collection: u32,
    /// What the child called it.
    pub verb: String,
    pub what: What,
    /// The line that said so.
    pub begun: usize,
    pub ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub line: usize,
    /// When the parent heard of it.
    pub heard: Instant,
    /// The number that a get or a load found, or 0 if there was nothing to change.
    pub answer: Option<u64>,
}

impl Operation {
    /// The line before which it ended, as far as the parent knows. A reload is stored later, if at all, but
    /// what is begun after it comes after it.
    pub fn end(&self) -> usize {
        match self.what {
            What::Reload(_) => self.begun + 1,
            _ => self.ended.map_or(usize::MAX, |ended| ended.line),
        }
    }

    /// Whether it has ended and said that it changed nothing.
    pub fn was_idle(&self) -> bool {
        self.ended.is_some_and(|ended| match self.what {
            What::Load(_) => ended.answer != Some(self.number),
            _ => ended.answer == Some(0),
        })
    }

    /// What a put wrote: keys and numbers.
    pub fn written(&self) -> impl Iterator<Item = (u32, u64)> {
        let keys = match &self.what {
            What::Put(keys) => &keys[..],
            What::Swap(key) | What::Load(key) if !self.was_idle() => std::slice::from_ref(key),
            What::Reload(key) => std::slice::from_ref(key),
            _ => &[],
        };
        keys.iter().copied().zip(self.number..)
    }

    /// Whether it may have put or removed `key`.
    pub fn changes(&self, key: u32) -> bool {
        let is_of = match &self.what {
            What::Put(keys) | What::Delete(keys) => keys.contains(&key),
            What::Swap(own) | What::Load(own) | What::Reload(own) => *own == key,
            What::Clear => true,
            _ => false,
        };
        is_of && !self.was_idle()
    }

    /// Whether it may have put or touched `key`.
    pub fn may_touch(&self, key: u32) -> bool {
        match &self.what {
            What::Put(keys) => keys.contains(&key),
            What::Swap(own) | What::Load(own) | What::Get(own) | What::Touch(own) => *own == key,
            What::Hit(own) | What::Reload(own) => *own == key,
            _ => false,
        }
    }

    /// Whether it may have touched what it found under `key`, if that has the number.
    pub fn may_hit(&self, key: u32, number: u64) -> bool {
        let found = |ended: Ended| match self.what {
            What::Get(_) | What::Load(_) | What::Hit(_) => ended.answer == Some(number),
            What::Touch(_) => ended.answer != Some(0),
            _ => false,
        };
        self.may_touch(key) && self.ended.map_or(self.is_look(), found)
    }

    fn is_look(&self) -> bool {
        matches!(self.what, What::Get(_) | What::Load(_) | What::Hit(_) | What::Touch(_))
    }
}

/// The operations in the order in which they began. Lines count from 1.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub operations: Vec<Operation>,
    /// What left by the limits: lines, collections and keys.
    evicted: Vec<(usize, u32, u32)>,
    places: HashMap<u64, usize>,
    lines: usize,
}

impl History {
    /// Takes down what the child said. Says whether it was about its work.
    pub fn hear(&mut self, line: &str, heard: Instant) -> bool {
        // The test harness may begin a line.
        let Some((_, said)) = line.split_once('#') else { return false };
        self.lines += 1;
        let mut words = said.split(' ');
        match words.next() {
            Some("begin") => {
                let number = words.next().expect("a number").parse().unwrap();
                let (verb, what, collection) = read(words);
                self.places.insert(number, self.operations.len());
                let (begun, ended) = (self.lines, None);
                self.operations.push(Operation { number, collection, verb, what, begun, ended });
            }
            Some("end") => {
                let mut words = words.map(|word| word.parse().unwrap());
                let place = self.places[&words.next().expect("a number")];
                let ended = Ended { line: self.lines, heard, answer: words.next() };
                self.operations[place].ended = Some(ended);
            }
            Some("reload") => self.hear_of_reload(words.next().expect("a number").parse().unwrap()),
            Some("evicted") => {
                let mut words = words.map(|word| word.parse().unwrap());
                let mut next = || words.next().expect("a collection and a key");
                self.evicted.push((self.lines, next(), next()));
            }
            Some("still") => {}
            _ => panic!("the child said {line:?}"),
        }
        true
    }

    /// Takes down that the loader of the operation of that number has begun in the background, so that this
    /// found something, and that what is loaded may be stored, unless the collection was closed before.
    fn hear_of_reload(&mut self, number: u64) {
        let place = self.places[&number];
        let asked = &mut self.operations[place];
        let (What::Load(key), collection) = (&asked.what, asked.collection) else {
            panic!("{asked:?} reloads something");
        };
        let what = What::Reload(*key);
        asked.what = What::Hit(*key);
        let closed = self.operations[place..].iter().any(|later| {
            later.collection == collection && later.what == What::Close && later.ended.is_some()
        });
        if !closed {
            let (verb, begun) = ("reload".to_owned(), self.lines);
            self.operations.push(Operation { number, collection, verb, what, begun, ended: None });
        }
    }

    /// The first number that the child has not used.
    pub fn next_number(&self) -> Option<u64> {
        let numbers = |operation: &Operation| match &operation.what {
            What::Put(keys) => keys.len() as u64,
            _ => 1,
        };
        self.operations.iter().map(|operation| operation.number + numbers(operation)).max()
    }

    /// What the child's clock says: the number of the last operation that it said it began.
    pub fn latest(&self) -> u64 {
        self.operations.iter().map(|operation| operation.number).max().unwrap_or(0)
    }

    /// What was done to one of the collections.
    pub fn of(&self, collection: u32) -> Self {
        let mut of = self.clone();
        of.operations.retain(|operation| operation.collection == collection);
        of.evicted.retain(|(_, own, _)| *own == collection);
        of.places.clear();
        of
    }

    /// Whether the child said after that line that `key` was evicted.
    pub fn was_evicted(&self, key: u32, line: usize) -> bool {
        self.evicted.iter().any(|(said, _, evicted)| *evicted == key && *said > line)
    }

    /// How many rows can have been evicted before the child could say so: a put of a row evicts one at most, and one
    /// that has ended has said so unless it shared a commit with what was under way.
    pub fn most_untold(&self) -> usize {
        let under_way = self.operations.iter().filter(|begun| begun.end() == usize::MAX);
        let since = under_way.map(|operation| operation.begun).min().unwrap_or(usize::MAX);
        let recent = self.operations.iter().filter(|operation| operation.end() > since);
        let evicts = |operation: &Operation| match &operation.what {
            What::Put(keys) => keys.len(),
            What::Swap(_) | What::Load(_) => 1,
            // It may find other limits than those that were there.
            What::Open => usize::MAX,
            _ => 0,
        };
        recent.map(evicts).fold(0, usize::saturating_add)
    }

    pub fn acknowledged(&self) -> usize {
        self.operations.iter().filter(|operation| operation.ended.is_some()).count()
    }
}

/// What an operation is called, what it is, and the collection it is of, which is the first one unless it is
/// named.
fn read<'l>(mut words: impl Iterator<Item = &'l str>) -> (String, What, u32) {
    let verb = words.next().expect("an operation");
    let (verb, collection) = verb.split_once('@').unwrap_or((verb, "0"));
    let keys: Vec<u32> = words.map(|word| word.parse().unwrap()).collect();
    let what = match verb {
        "open" => What::Open,
        "close" => What::Close,
        "put" | "put_many" => What::Put(keys),
        "put_if_absent" | "put_if_revision" | "update_with" => What::Swap(keys[0]),
        "load" | "refresh" => What::Load(keys[0]),
        "get" => What::Get(keys[0]),
        "touch" => What::Touch(keys[0]),
        "delete" | "delete_many" | "delete_prefix" | "delete_tag" | "retain" | "take" => {
            What::Delete(keys)
        }
        "clear" => What::Clear,
        "flush" => What::Flush,
        "maintain" => What::Maintain,
        "len" | "scan" | "verify" | "purge_outdated" => What::Len,
        "get_many" | "look" | "evict_memory" | "repair" | "shrink" => What::Other,
        _ => panic!("the child did {verb:?}"),
    };
    (verb.to_owned(), what, collection.parse().unwrap())
}
