//! What is done in a run.

use std::collections::BTreeMap;

/// An operation. Puts and deletes of one key are single calls, of several a batch.
#[derive(Clone, Debug)]
pub enum Op {
    Put(Vec<(String, String)>),
    Get(String),
    GetMany(Vec<String>),
    Delete(Vec<String>),
    Clear,
    Flush,
    Maintain,
    EvictMemory,
    /// So many milliseconds go by.
    Pass(i64),
    Reopen,
}

/// What an operation is answered that succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Found(Option<String>),
    Many(BTreeMap<String, String>),
    Count(usize),
}

/// Keys by number.
const KEYS: u64 = 14;

pub fn keys() -> Vec<String> {
    (0..KEYS).map(key).collect()
}

fn key(number: u64) -> String {
    format!("key {number}")
}

/// Makes values that all differ.
#[derive(Default)]
struct Values {
    made: u64,
}

impl Values {
    /// A value of some more bytes than so many, without a repeating part that could hide a torn page.
    fn value(&mut self, bytes: usize) -> String {
        self.made += 1;
        let mut value = format!("value {}", self.made);
        let mut random = fastrand::Rng::with_seed(self.made);
        value.extend(std::iter::repeat_with(|| random.alphanumeric()).take(bytes));
        value
    }

    fn put(&mut self, keys: &[u64], bytes: usize) -> Op {
        Op::Put(keys.iter().map(|number| (key(*number), self.value(bytes))).collect())
    }
}

fn get(number: u64) -> Op {
    Op::Get(key(number))
}

fn several(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(|number| key(*number)).collect()
}

/// A run with all operations, evictions and expirations.
pub fn fixed() -> Vec<Op> {
    let mut values = Values::default();
    let half_a_ttl = super::model::TTL * 6 / 10;
    vec![
        values.put(&[0, 1, 2, 3, 4, 5], 20),
        get(0),
        get(5),
        values.put(&[6], 20),
        Op::Reopen,
        get(1),
        get(2),
        get(3),
        Op::GetMany(several(&[0, 3, 4, 9])),
        values.put(&[7, 8, 9], 500),
        Op::Delete(several(&[7])),
        Op::Delete(several(&[13])),
        values.put(&[1], 6_000),
        Op::EvictMemory,
        get(1),
        Op::Flush,
        Op::Pass(half_a_ttl),
        values.put(&[2], 20),
        values.put(&[3], 20),
        Op::Flush,
        Op::Pass(half_a_ttl),
        get(1),
        Op::Maintain,
        values.put(&[10, 11, 12, 1], 700),
        Op::Flush,
        Op::Clear,
        values.put(&[0, 1], 20),
        Op::Delete(several(&[0, 4, 1])),
        values.put(&[3], 6_000),
        get(3),
        get(0),
        values.put(&[4], 20),
        Op::Reopen,
        get(4),
    ]
}

/// A run of `count` operations by chance, in which nothing expires.
pub fn random(random: &mut fastrand::Rng, count: usize) -> Vec<Op> {
    let mut values = Values::default();
    let mut op = || {
        let some: Vec<u64> = (0..random.usize(1..5)).map(|_| random.u64(0..KEYS)).collect();
        match random.u32(0..100) {
            0..25 => values.put(&some[..1], random.usize(20..60)),
            25..40 => values.put(&distinct(&some), random.usize(20..3_000)),
            40..45 => values.put(&some[..1], random.usize(3_000..9_500)),
            45..70 => get(some[0]),
            70..75 => Op::GetMany(several(&some)),
            75..82 => Op::Delete(several(&some[..1])),
            82..86 => Op::Delete(several(&some)),
            86..89 => Op::Flush,
            89..92 => Op::Maintain,
            92..94 => Op::EvictMemory,
            94..96 => Op::Clear,
            _ => Op::Reopen,
        }
    };
    (0..count).map(|_| op()).collect()
}

/// A run that fills the log, so that commits take it over into the file.
pub fn large(random: &mut fastrand::Rng) -> Vec<Op> {
    let mut values = Values::default();
    let mut op = |step: usize| match step % 4 {
        3 => get(random.u64(0..KEYS)),
        2 => values.put(&[random.u64(0..KEYS)], 30),
        _ => values.put(&[random.u64(0..KEYS)], random.usize(700_000..900_000)),
    };
    (0..52).map(&mut op).collect()
}

/// Whether it is such a run.
pub fn fills_the_log(script: &[Op]) -> bool {
    let is_long = |(_, value): &(String, String)| value.len() > 100_000;
    script.iter().any(|op| matches!(op, Op::Put(pairs) if pairs.iter().any(is_long)))
}

fn distinct(numbers: &[u64]) -> Vec<u64> {
    let distinct: std::collections::BTreeSet<u64> = numbers.iter().copied().collect();
    distinct.into_iter().collect()
}
