//! What the operations cost over files of many sizes.

use crate::bench::{self, Bench, Filling, Sample, fill_from, for_a_while, resident_bytes};
use crate::contender::{Contender, Setup, Tiers};
use crate::object::{Customer, Keys, Popularity, key};
use std::collections::HashSet;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows are small, so that many of them fit on a disk.
const OBJECT_BYTES: usize = 90;

/// Room for objects in memory, where there is a tier for them.
const MEMORY_ENTRIES: usize = 10_000;

/// Objects that hits are measured on.
const HOT: u64 = 1_000;

/// Most operations of a kind. So few reads leave all that the cache knows of their times in its memory,
/// until that is written back at once.
const HITS: usize = 1_000_000;
const READS: usize = 60_000;
const PUTS: usize = 20_000;

const LIMIT: Duration = Duration::from_millis(1_000);

/// Everything on one copy of a file, which is closed between reads, puts and evictions, so that none
/// pays for what another one left to be written. The value is a disk hit; the others go by name.
pub fn measure(bench: &Bench<'_>, entries: usize) -> Sample {
    let filling = Filling { purpose: "growth", entries, object_bytes: OBJECT_BYTES };
    let folder = bench.copied(filling);
    let stored = bytes_of(folder);
    let of_memory = |memory_entries| filling.setup(folder, memory_entries);

    let start = Instant::now();
    let contender = (bench.peer.open)(&of_memory(MEMORY_ENTRIES));
    black_box(contender.get(&key(entries as u64 / 2)).expect("it was put"));
    let opening = Sample::each(start.elapsed(), 1).value;
    let hit = (bench.peer.tiers != Tiers::Disk).then(|| hits(&*contender));
    drop(contender);

    let contender = (bench.peer.open)(&of_memory(0));
    let (disk_hit, write_back) = disk_hits(&*contender, entries);
    drop(contender);

    bench::write_back();
    let contender = (bench.peer.open)(&of_memory(0));
    let put = puts(&*contender, entries, PUTS.min(entries));
    drop(contender);

    bench::write_back();
    let contender = (bench.peer.open)(&Setup { bounded: true, ..of_memory(0) });
    // The first one drives out all that are too many, if the opening has not.
    fill_from(&*contender, entries + PUTS, 1, Customer::small);
    let evicting = puts(&*contender, entries + PUTS + 1, PUTS);

    let sample = Sample::new(disk_hit)
        .with("open", opening)
        .with("write-back", write_back)
        .with("put", put)
        .with("evict", evicting)
        .with("resident", resident_bytes())
        .with("stored", stored / entries as f64);
    hit.map_or(sample.clone(), |hit| sample.with("hit", hit))
}

/// Gets of objects that memory holds.
fn hits(contender: &dyn Contender) -> f64 {
    (0..HOT).for_each(|number| drop(contender.get(&key(number))));
    let keys = Keys::of(Popularity::Uniform.numbers(HOT, HITS, 0));
    let get = |key| drop(black_box(contender.get(key).expect("it was put")));
    let (gets, elapsed) = for_a_while(keys.iter(), LIMIT, get);
    Sample::each(elapsed, gets).value
}

/// Gets over all rows; and what it takes, for each row that was got, to write back when it was.
fn disk_hits(contender: &dyn Contender, entries: usize) -> (f64, f64) {
    let numbers = Popularity::Uniform.numbers(entries as u64, READS, 1);
    let keys = Keys::of(numbers.iter().copied());
    let get = |key| drop(black_box(contender.get(key).expect("it was put")));
    let warming = READS / 4;
    let (warmed, _) = for_a_while(keys.iter().take(warming), LIMIT, get);
    let (gets, elapsed) = for_a_while(keys.iter().skip(warming), LIMIT, get);
    let got = numbers[..warmed].iter().chain(&numbers[warming..warming + gets]);
    let touched = got.collect::<HashSet<_>>().len();
    let start = Instant::now();
    contender.settle();
    (Sample::each(elapsed, gets).value, Sample::each(start.elapsed(), touched).value)
}

/// Puts of `most` new keys, or of as many as there is time for.
fn puts(contender: &dyn Contender, from: usize, most: usize) -> f64 {
    let numbers = from as u64..(from + most) as u64;
    let pairs: Vec<(String, Arc<Customer>)> =
        numbers.map(|number| (key(number), Arc::new(Customer::small(number)))).collect();
    let (puts, elapsed) = for_a_while(pairs, LIMIT, |(key, value)| contender.put(&key, value));
    contender.settle();
    Sample::each(elapsed, puts).value
}

fn bytes_of(folder: &Path) -> f64 {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    files.map(|file| file.metadata().unwrap().len() as f64).sum()
}
