//! Which scenarios are told together, and what has to be known about them.

use crate::contender::Peer;
use crate::results::Results;

/// A chapter of the page.
pub struct Section {
    pub title: &'static str,
    pub about: &'static str,
    /// Of its chart.
    pub file: &'static str,
    /// The scenarios, with the heads of their columns.
    pub columns: &'static [(&'static str, &'static str)],
    pub beside: Beside,
    pub chart: Chart,
}

/// What stands beside the figures of a contender.
#[derive(Clone, Copy)]
pub enum Beside {
    /// Which entry goes, and its TTL.
    Semantics,
    /// What a crash leaves.
    Crash,
    /// Hit ratio and latencies.
    Replay,
}

/// How the figures are drawn.
#[derive(Clone, Copy)]
pub enum Chart {
    /// A panel for each scenario, a bar for each contender.
    Bars,
    /// A line for each contender over the sizes of the scenarios.
    Curves(&'static [f64]),
}

impl Section {
    /// Whether anything of it was measured.
    pub fn is_measured(&self, results: &Results, peers: &[Peer]) -> bool {
        let measured = |name: &str| peers.iter().any(|peer| results.of(peer.name, name).is_some());
        self.columns.iter().any(|(scenario, _)| measured(scenario))
    }

    /// What the reader has to be told about how it was measured this time.
    pub fn note(&self, results: &Results, peers: &[Peer]) -> Option<&'static str> {
        let stands_in = |scenario: &str| {
            let mut extras =
                peers.iter().map(|peer| results.extra(peer.name, scenario, "generated"));
            extras.any(|generated| generated == Some(1.0))
        };
        self.columns.iter().any(|(scenario, _)| stands_in(scenario)).then_some(
            "The trace was not there: 1,000,000 accesses of a Zipf distribution stood in for it.",
        )
    }
}

/// Every chapter, in order.
pub const SECTIONS: [Section; 12] = [
    Section {
        title: "Memory hits, all objects equally popular",
        about: "100,000 objects of about 250 bytes of JSON, all of them in memory. The time is that \
                of all threads together, divided by the gets of all of them.",
        file: "hits-uniform",
        columns: &[
            ("hit-uniform-1", "1 thread"),
            ("hit-uniform-2", "2 threads"),
            ("hit-uniform-8", "8 threads"),
        ],
        beside: Beside::Semantics,
        chart: Chart::Bars,
    },
    Section {
        title: "Memory hits, a few objects very popular",
        about: "The same with a Zipf distribution of exponent 0.99.",
        file: "hits-zipf",
        columns: &[
            ("hit-zipf-1", "1 thread"),
            ("hit-zipf-2", "2 threads"),
            ("hit-zipf-8", "8 threads"),
        ],
        beside: Beside::Semantics,
        chart: Chart::Bars,
    },
    Section {
        title: "Memory puts at capacity",
        about: "100,000 objects lie in memory, and every put of a new one drives one out.",
        file: "memory-puts",
        columns: &[("memory-put-1", "1 thread"), ("memory-put-2", "2 threads")],
        beside: Beside::Semantics,
        chart: Chart::Bars,
    },
    Section {
        title: "95 gets, 5 puts",
        about: "Two threads over 100,000 objects of Zipf popularity, all of them in memory. Those \
                with two tiers store what is put on disk too.",
        file: "mixed",
        columns: &[("mixed-memory", "memory alone"), ("mixed-both", "both tiers")],
        beside: Beside::Semantics,
        chart: Chart::Bars,
    },
    Section {
        title: "Memory per entry",
        about: "By how much a process grows for an entry besides its object: key and bookkeeping. \
                The entries share one object. The first 500,000 contain what a contender needs \
                however many there are: buffers of those with a disk tier (the pages that SQLite keeps \
                for ours, 8 MiB or 17 bytes of an entry, and the index of its log), and tables that \
                are made for as many as there will be. All of that is there when the next 500,000 \
                come, which show what one more costs.",
        file: "resident",
        columns: &[("resident", "of 500,000"), ("resident-further", "of 500,000 more")],
        beside: Beside::Semantics,
        chart: Chart::Bars,
    },
    Section {
        title: "Disk hits",
        about: "Objects that are on disk only, in files that another process wrote and that the \
                operating system has in its cache: 100,000 of 250 bytes, 20,000 of 4 KiB and 2,000 \
                of 64 KiB, of folders of files at most as many as the last table says. Tiers of objects \
                in memory are switched off; what a contender keeps of blocks, pages or rows it has read \
                stays on (of ours up to 64 MiB of rows and as many of pages). A quarter of the gets \
                comes before the measurement. foyer is asynchronous and is waited for from outside \
                its runtime.",
        file: "disk-hits",
        columns: &[
            ("disk-hit-250b", "250 bytes"),
            ("disk-hit-4k", "4 KiB"),
            ("disk-hit-64k", "64 KiB"),
        ],
        beside: Beside::Semantics,
        chart: Chart::Bars,
    },
    Section {
        title: "Puts",
        about: "New objects of about 250 bytes beside 10,000 others. In a batch there are a thousand. \
                The third column is a burst of 60,000 with the closing charged to it; `rusqlite` makes \
                transactions of a thousand of it. \
                Contenders differ in what a put promises; the last column is what another process \
                found of 2,000 puts when the first one was aborted right after them. Power loss is \
                not tried; what is said of it is what the contender's documentation says, and for `files` and \
                `cacache` that they sync nothing.",
        file: "puts",
        columns: &[
            ("put-one", "one by one"),
            ("put-many", "in batches"),
            ("put-closed", "until closed"),
        ],
        beside: Beside::Crash,
        chart: Chart::Bars,
    },
    Section {
        title: "Puts by several threads",
        about: "Every thread puts, and puts again when that is acknowledged: new objects of about \
                250 bytes beside 10,000 others, or some of these 10,000 again. The time is that of \
                all threads together, divided by the puts of all of them. `ours-4-files` is four \
                caches, each with a file of its own.",
        file: "writers",
        columns: &[
            ("put-threads-1", "1 thread"),
            ("put-threads-2", "2 threads"),
            ("put-threads-8", "8 threads"),
            ("put-threads-1-replaced", "1 thread, replaced"),
            ("put-threads-8-replaced", "8 threads, replaced"),
        ],
        beside: Beside::Crash,
        chart: Chart::Bars,
    },
    Section {
        title: "Reopening",
        about: "Opening what another process closed, and getting one object.",
        file: "reopening",
        columns: &[("reopen-100k", "100,000 entries"), ("reopen-1m", "1,000,000 entries")],
        beside: Beside::Semantics,
        chart: Chart::Curves(&[100_000.0, 1_000_000.0]),
    },
    Section {
        title: "Eviction from disk",
        about: "Puts of new objects at a disk tier that is full.",
        file: "evicting",
        columns: &[
            ("evict-1k", "1,000 entries"),
            ("evict-10k", "10,000"),
            ("evict-100k", "100,000"),
            ("evict-1m", "1,000,000"),
        ],
        beside: Beside::Crash,
        chart: Chart::Curves(&[1_000.0, 10_000.0, 100_000.0, 1_000_000.0]),
    },
    Section {
        title: "A shop's objects",
        about: "The trace `orm-busy`: 5,000,000 accesses of 76,349 objects by a web shop on a busy \
                day, in one thread. A tenth of the objects have room in memory; after a miss an \
                object of about 1 KiB of JSON is built and put. Those with a disk tier keep all of \
                them there. The times contain one reading of the clock.",
        file: "replay-orm-busy",
        columns: &[("replay-orm-busy", "an access")],
        beside: Beside::Replay,
        chart: Chart::Bars,
    },
    Section {
        title: "A site's pages",
        about: "The trace `web12`: 95,607 requests of 13,756 product pages, otherwise as above.",
        file: "replay-web12",
        columns: &[("replay-web12", "an access")],
        beside: Beside::Replay,
        chart: Chart::Bars,
    },
];
