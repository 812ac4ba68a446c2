//! The child: it works on the file and says of each operation that it begins and that it has ended.

use super::collections::Collections;
use super::entry::{Entry, numbered};
use super::plan::{Plan, time};
use super::random::Random;
use super::worker::Worker;
use disk_backed_cache::{Clock, Removal, RemovalCause, Tier, Timestamp};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Works until it is killed or the plan is done.
pub fn work(path: &Path, plan: &Plan) {
    let (number, clock) = (AtomicU64::new(plan.first), Arc::default());
    let desk = Desk { plan, pen: Pen::new(), number, clock };
    let mut random = Random::new(plan.seed);
    let mut left = plan.operations;
    let (mut calm, mut explicit) = (random.one_in(2), random.one_in(2));
    while left > 0 {
        let mut collections = Collections::default();
        for collection in 0..plan.collections {
            let builder = plan.of(collection).builder(&desk.clock);
            let builder = match plan.of(collection).tells() {
                true => builder.eviction_listener(desk.listener(collection)),
                false => builder,
            };
            let open = || collections.open(path, plan.collections, builder);
            desk.note(collection, "open", 1, |_| (open(), None));
        }
        let share = (plan.era / 2 + random.below(plan.era)).min(left).div_ceil(plan.threads);
        left = left.saturating_sub(share * plan.threads);
        // With buffered puts, what commits them makes the wait short; every other time there is nothing else.
        calm = plan.buffered && !calm;
        thread::scope(|scope| {
            for _ in 0..plan.threads {
                let (desk, caches) = (&desk, collections.all());
                let random = Random::new(random.next());
                let mut worker = Worker::new(desk, caches, random, calm);
                scope.spawn(move || (0..share).for_each(|_| worker.act()));
            }
        });
        if left == 0 && plan.still {
            desk.pen.write("#still\n");
            // The end comes with a signal, or with the parent's own.
            let ended = std::io::stdin().read_to_end(&mut Vec::new());
            panic!("the parent is gone: {ended:?}");
        }
        explicit = !explicit;
        for collection in (0..plan.collections).rev() {
            let mut close = || collections.close_last(explicit ^ (collection % 2 == 1));
            desk.note(collection, "close", 1, |_| (close(), None));
        }
    }
}

/// The number of the last operation that the parent was told of, so that it knows the latest time that
/// anything was judged by.
#[derive(Debug, Default)]
struct Told(AtomicU64);

impl Clock for Told {
    fn now(&self) -> Timestamp {
        time(self.0.load(Ordering::Acquire))
    }
}

/// Standard output without a buffer. A line is one write, which a pipe takes as a whole.
#[derive(Clone)]
struct Pen(Arc<File>);

/// What a pipe takes as a whole.
const LONGEST_LINE: usize = 4_096;

impl Pen {
    fn new() -> Self {
        Self(Arc::new(File::from(std::io::stdout().as_fd().try_clone_to_owned().unwrap())))
    }

    fn write(&self, line: &str) {
        assert!(line.len() <= LONGEST_LINE);
        assert_eq!((&*self.0).write(line.as_bytes()).unwrap(), line.len());
    }
}

/// What the threads share.
pub struct Desk<'p> {
    pub plan: &'p Plan,
    pen: Pen,
    number: AtomicU64,
    clock: Arc<Told>,
}

impl Desk<'_> {
    /// Does one operation of that many numbers, between two lines. It is given its first number.
    pub fn note<R>(
        &self,
        collection: u32,
        what: &str,
        numbers: u64,
        operation: impl FnOnce(u64) -> (R, Option<u64>),
    ) -> R {
        let number = self.number.fetch_add(numbers, Ordering::Relaxed);
        let (verb, keys) = what.split_at(what.find(' ').unwrap_or(what.len()));
        self.pen.write(&match collection {
            0 => format!("#begin {number} {what}\n"),
            _ => format!("#begin {number} {verb}@{collection}{keys}\n"),
        });
        self.clock.0.fetch_max(number, Ordering::AcqRel);
        let (result, answer) = operation(number);
        self.pen.write(&match answer {
            Some(answer) => format!("#end {number} {answer}\n"),
            None => format!("#end {number}\n"),
        });
        result
    }

    /// Tells the parent what leaves the disk tier by its limits.
    fn listener(&self, collection: u32) -> impl Fn(Removal<Entry>) + Send + Sync + use<> {
        let pen = self.pen.clone();
        move |removal| {
            if (removal.tier, removal.cause) == (Tier::Disk, RemovalCause::Capacity) {
                pen.write(&format!("#evicted {collection} {}\n", numbered(&removal.key)));
            }
        }
    }

    /// What the loader of the operation of that number is to begin with: it tells the parent if it runs in the
    /// background.
    pub fn teller(&self, number: u64) -> impl FnOnce() + Send + use<> {
        let (pen, asking) = (self.pen.clone(), thread::current().id());
        move || {
            if thread::current().id() != asking {
                pen.write(&format!("#reload {number}\n"));
            }
        }
    }
}
