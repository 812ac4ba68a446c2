//! What a child said it did.

use std::collections::HashMap;
use std::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Open,
    Close,
    /// Of a put the keys get the numbers from the operation's own on.
    Put(Vec<u32>),
    Get(u32),
    Delete(Vec<u32>),
    Clear,
    Flush,
    Maintain,
    Len,
    /// Nothing that the file could tell.
    Other,
}

#[derive(Clone, Debug)]
pub struct Operation {
    pub number: u64,
    /// Of which collection of the file.
    pub collection: u32,
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
    /// The number that a get found.
    pub answer: Option<u64>,
}

impl Operation {
    /// The line before which it ended, as far as the parent knows.
    pub fn end(&self) -> usize {
        self.ended.map_or(usize::MAX, |ended| ended.line)
    }

    /// What a put wrote: keys and numbers.
    pub fn written(&self) -> impl Iterator<Item = (u32, u64)> {
        let keys = match &self.what {
            What::Put(keys) => &keys[..],
            _ => &[],
        };
        keys.iter().copied().zip(self.number..)
    }

    pub fn changes(&self, key: u32) -> bool {
        match &self.what {
            What::Put(keys) | What::Delete(keys) => keys.contains(&key),
            What::Clear => true,
            _ => false,
        }
    }
}

/// The operations in the order in which they began. Lines count from 1.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub operations: Vec<Operation>,
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
                let (what, collection) = read(words);
                self.places.insert(number, self.operations.len());
                let begun = self.lines;
                self.operations.push(Operation { number, collection, what, begun, ended: None });
            }
            Some("end") => {
                let mut words = words.map(|word| word.parse().unwrap());
                let place = self.places[&words.next().expect("a number")];
                let ended = Ended { line: self.lines, heard, answer: words.next() };
                self.operations[place].ended = Some(ended);
            }
            Some("still") => {}
            _ => panic!("the child said {line:?}"),
        }
        true
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
        of.places.clear();
        of
    }

    pub fn acknowledged(&self) -> usize {
        self.operations.iter().filter(|operation| operation.ended.is_some()).count()
    }
}

/// An operation, and the collection it is of, which is the first one unless it is named.
fn read<'l>(mut words: impl Iterator<Item = &'l str>) -> (What, u32) {
    let what = words.next().expect("an operation");
    let (what, collection) = what.split_once('@').unwrap_or((what, "0"));
    let keys: Vec<u32> = words.map(|word| word.parse().unwrap()).collect();
    let what = match what {
        "open" => What::Open,
        "close" => What::Close,
        "put" => What::Put(keys),
        "get" => What::Get(keys[0]),
        "delete" => What::Delete(keys),
        "clear" => What::Clear,
        "flush" => What::Flush,
        "maintain" => What::Maintain,
        "len" => What::Len,
        "get_many" | "evict_memory" => What::Other,
        _ => panic!("the child did {what:?}"),
    };
    (what, collection.parse().unwrap())
}
