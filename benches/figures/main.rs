//! The figures that the cache is held to.
//!
//! `cargo bench --bench figures` measures each side of each figure with criterion, then prints the
//! table of ratios, which is what is asked for. `-- --ratios` prints the table alone, and part of a
//! figure's name behind that chooses some. Those of the asynchronous face need `--features future`.
//! `-- --latency` prints how long the slowest calls take beside maintenance. Files lie below cargo's target
//! directory, so that commits meet a real disk.

mod bare;
mod evicting;
mod figure;
mod latency;
mod object;
mod opening;
mod ratios;
mod reading;
mod resident;
mod storing;
mod tagged;
#[cfg(feature = "future")]
mod tasks;

use criterion::Criterion;
use figure::{Asked, Figure, Pair, folder};

/// Every figure, the quick ones first.
const FIGURES: &[Figure] = &[
    Figure {
        name: "memory hit of 100,000 objects",
        asked: Asked::AtMost(1.3),
        operations: 2_000,
        rounds: 501,
        prepare: resident::hits,
    },
    Figure {
        name: "disk hit of 10,000 rows, decoded",
        asked: Asked::AtMost(1.3),
        operations: 500,
        rounds: 301,
        prepare: |folder| reading::hits(folder, 10_000),
    },
    Figure {
        name: "disk hit of 100,000 rows, decoded",
        asked: Asked::AtMost(1.3),
        operations: 500,
        rounds: 301,
        prepare: |folder| reading::hits(folder, 100_000),
    },
    Figure {
        name: "put of a new key",
        asked: Asked::AtMost(1.3),
        operations: 500,
        rounds: 101,
        prepare: storing::new_keys,
    },
    Figure {
        name: "put over 10,000 rows",
        asked: Asked::AtMost(1.3),
        operations: 500,
        rounds: 101,
        prepare: storing::known_keys,
    },
    Figure {
        name: "1,000 single puts, beside one put_many",
        asked: Asked::AtLeast(6.0),
        operations: 4,
        rounds: 31,
        prepare: storing::batches,
    },
    Figure {
        name: "put at a full disk tier of 100,000 rows, beside 1,000",
        asked: Asked::AtMost(2.0),
        operations: 500,
        rounds: 101,
        prepare: evicting::puts,
    },
    Figure {
        name: "opening 100,000 rows and one get",
        asked: Asked::AtMost(2.0),
        operations: 1,
        rounds: 301,
        prepare: opening::first_get,
    },
    Figure {
        name: "put of a new key with a tag",
        asked: Asked::AtMost(1.5),
        operations: 500,
        rounds: 101,
        prepare: tagged::puts,
    },
    // 30 µs for each make 0.3 s.
    Figure {
        name: "delete_tag of 10,000 entries among 1,000,000",
        asked: Asked::AtMost(2.5),
        operations: 10_000,
        rounds: 11,
        prepare: |folder| tagged::deletions(folder, 1_000_000),
    },
    #[cfg(feature = "future")]
    Figure {
        name: "memory hit of 100,000 objects, awaited",
        asked: Asked::AtMost(1.2),
        operations: 2_000,
        rounds: 501,
        prepare: tasks::memory_hits,
    },
    #[cfg(feature = "future")]
    Figure {
        name: "disk hits of 1,000 tasks",
        asked: Asked::AtMost(1.25),
        operations: 20_000,
        rounds: 31,
        prepare: |folder| tasks::disk_hits(folder, 0),
    },
    #[cfg(feature = "future")]
    Figure {
        name: "disk hits of 1,000 tasks, of rows that are kept",
        asked: Asked::AtMost(1.25),
        operations: 20_000,
        rounds: 31,
        prepare: |folder| tasks::disk_hits(folder, 64 << 20),
    },
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(flag) = arguments.iter().position(|argument| argument == "--ratios") {
        // Cargo adds flags of its own at the end.
        let part = arguments[flag + 1..].iter().find(|argument| !argument.starts_with('-'));
        return ratios::print(part.map_or("", String::as_str));
    }
    if arguments.iter().any(|argument| argument == "--latency") {
        return latency::print();
    }
    let mut criterion = Criterion::default().configure_from_args();
    FIGURES.iter().for_each(|figure| measure(&mut criterion, figure));
    criterion.final_summary();
    ratios::print("");
}

fn measure(criterion: &mut Criterion, figure: &Figure) {
    let folder = folder();
    let Pair { first, second } = (figure.prepare)(folder.path());
    let mut group = criterion.benchmark_group(figure.name);
    for mut side in [first, second] {
        group.bench_function(side.name, |bencher| bencher.iter_custom(&mut side.run));
    }
    group.finish();
}
