//! Plays a script on a cache whose disk fails, and compares all that is seen with the model.

use crate::model::{Model, Seen};
use crate::script::{self, Answer, Op};
use crate::support::{Cache, Way, at, is_apt};
use disk_backed_cache::{Error, ManualClock, Tier};
use disk_backed_cache_faults::{Disk, Fault};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// After so many operations that failed a lasting fault is lifted.
const FAILURES: u32 = 3;

/// What was counted in a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Calls that the fault struck.
    pub struck: u64,
    /// Operations that reported it.
    pub reported: u64,
}

pub struct Run<'d> {
    disk: &'d Disk,
    way: Way,
    fault: Option<Fault>,
    folder: TempDir,
    clock: Arc<ManualClock>,
    now: i64,
    cache: Option<Cache>,
    /// One of them is true; more than one only after a failure that leaves open how far it got.
    models: Vec<Model>,
    /// What may be found besides after the next opening: a commit that failed may be in the log.
    perhaps: Vec<Model>,
    failures: u32,
    tally: Tally,
    log: Vec<String>,
}

impl<'d> Run<'d> {
    /// Opens a new file, on which `fault` strikes from now on.
    pub fn new(disk: &'d Disk, way: Way, fault: Option<Fault>) -> Self {
        let mut run = Self {
            disk,
            way,
            fault,
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::default(),
            now: 0,
            cache: None,
            models: vec![Model::new(way == Way::Buffered)],
            perhaps: Vec::new(),
            failures: 0,
            tally: Tally::default(),
            log: Vec::new(),
        };
        if let Some(fault) = fault {
            disk.plan(fault);
        }
        run.tick(1);
        run.open();
        run
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("cache.db")
    }

    /// Those that may be true, and those that may be found besides when the file is opened again.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().chain(&self.perhaps)
    }

    pub fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }

    /// Does `op`, again if it fails once the fault has passed.
    pub fn step(&mut self, op: &Op) {
        self.tick(1);
        self.log.push(format!("{}: {op:?}", self.now).chars().take(90).collect());
        match op {
            Op::Pass(millis) => {
                // What waits to be committed must not expire meanwhile.
                if self.struck() > 0 {
                    self.lift();
                }
                self.tick(*millis);
            }
            Op::Reopen => self.reopen(),
            _ => {
                let (before, struck) = (self.cache().stats(), self.struck());
                if let Err(error) = self.attempt(op) {
                    // Maintenance, and the commit of what waits, are more than one write.
                    let whole = self.way != Way::Buffered && !matches!(op, Op::Maintain);
                    let after = self.cache().stats();
                    self.assert(!whole || after == before, "it was counted");
                    // Elsewhere a thread may have met the fault before.
                    let met = !self.way.is_exact() || self.struck() > struck;
                    self.assert(met, "an earlier operation met the fault");
                    self.failed(op, &error);
                }
            }
        }
    }

    /// Closes the cache and looks at what is left, without the fault.
    pub fn end(mut self) -> Tally {
        self.lift();
        self.check();
        self.reopen();
        self.check();
        let verified = self.cache().verify();
        let report = self.expect(verified);
        self.assert(report.is_ok() && report.damaged().is_empty(), &format!("{report:?}"));
        let closed = self.cache.take().expect("it is open").close();
        self.expect(closed);
        let left: Vec<_> = std::fs::read_dir(self.folder.path()).unwrap().flatten().collect();
        self.assert(left.len() == 1, &format!("lies beside the file: {left:?}"));
        self.tally
    }

    fn cache(&self) -> &Cache {
        self.cache.as_ref().expect("it is open")
    }

    fn tick(&mut self, millis: i64) {
        self.now += millis;
        self.clock.set(at(self.now));
    }

    fn lift(&mut self) {
        if self.fault.take().is_some() {
            self.tally.struck += self.disk.lift();
        }
    }

    /// How many calls have failed so far.
    pub fn struck(&self) -> u64 {
        self.tally.struck + self.disk.struck()
    }

    /// Lets the models follow, if `op` succeeds.
    fn attempt(&mut self, op: &Op) -> Result<(), Error> {
        let answer = perform(self.cache(), op)?;
        let outcomes = self.models.iter().map(|model| model.after(op, self.now));
        let (wrong, right): (Vec<_>, Vec<_>) = outcomes.partition(|(_, said)| *said != answer);
        if right.is_empty() {
            self.fail(&format!("{answer:?} and not {wrong:?}"));
        }
        let written = matches!(op, Op::Put(_)) || self.models.iter().any(Model::waits);
        self.models = right.into_iter().map(|(model, _)| model).collect();
        if written && !self.models.iter().any(Model::waits) {
            // The commit lies in the log where the one that failed did.
            self.perhaps.clear();
        }
        Ok(())
    }

    fn failed(&mut self, op: &Op, error: &Error) {
        self.tally.reported += 1;
        self.failures += 1;
        self.judge(error);
        self.perhaps.extend(self.models.iter().map(|model| model.after(op, self.now).0));
        self.models = self.models.iter().flat_map(|m| m.after_failure(op, self.now)).collect();
        self.models.dedup();
        self.hit_memory();
        if self.fault.is_some_and(|fault| fault.lasts) && self.failures < FAILURES {
            return;
        }
        self.lift();
        self.check();
        self.tick(1);
        let again = self.attempt(op);
        self.expect(again);
    }

    /// Whether an error is of the kind that the fault is.
    fn judge(&self, error: &Error) {
        let Some(fault) = self.fault else {
            self.fail(&format!("no fault is planned: {error:?}"));
        };
        self.assert(is_apt(fault, error), &format!("an error of another kind: {error:?}"));
        self.assert(self.struck() > 0, &format!("nothing was struck: {error:?}"));
        let named = error.path().is_some_and(|path| path.ends_with("cache.db"));
        self.assert(named, &format!("it does not name the file: {error:?}"));
    }

    /// Hits in memory need no disk.
    fn hit_memory(&mut self) {
        let sure = |key: &String| self.models.iter().all(|model| model.in_memory().contains(key));
        let keys: Vec<_> = self.models[0].in_memory().into_iter().filter(sure).collect();
        for key in keys {
            self.tick(1);
            let hit = self.attempt(&Op::Get(key));
            self.expect(hit);
        }
    }

    /// Compares both tiers with the models.
    fn check(&mut self) {
        let keys = script::keys();
        let found = self.reading(|cache| cache.get_many(&keys));
        let mut seen = BTreeMap::new();
        for key in &keys {
            let tier = self.reading(|cache| cache.tier_of(key));
            self.assert(tier.is_some() == found.contains_key(key), &format!("{key} in {tier:?}"));
            if let Some(value) = found.get(key) {
                let (value, in_memory) = ((**value).clone(), tier == Some(Tier::Memory));
                seen.insert(key.clone(), Seen { value, in_memory });
            }
        }
        let wrong: Vec<_> = self.models.iter().map(Model::seen).collect();
        self.models.retain(|model| model.seen() == seen);
        if self.models.is_empty() {
            self.fail(&format!("there is {seen:#?} and not {wrong:#?}"));
        }
    }

    /// Asks something that changes nothing; a fault that it meets is the last time it does.
    fn reading<R>(&mut self, read: impl Fn(&Cache) -> Result<R, Error>) -> R {
        let first = read(self.cache());
        first.unwrap_or_else(|error| {
            self.tally.reported += 1;
            self.judge(&error);
            self.lift();
            let again = read(self.cache());
            self.expect(again)
        })
    }

    fn reopen(&mut self) {
        let closed = self.cache.take().expect("it is open").close();
        self.models = match &closed {
            Ok(()) => self.models.iter().map(|m| m.after(&Op::Reopen, self.now).0).collect(),
            Err(_) => self.models.iter().flat_map(Model::after_failed_close).collect(),
        };
        if let Err(error) = closed {
            self.tally.reported += 1;
            self.judge(&error);
        }
        self.open();
    }

    fn open(&mut self) {
        let open = |run: &Self| run.way.builder(&run.clock).open(run.path());
        let opened = open(self).or_else(|error| {
            self.tally.reported += 1;
            self.judge(&error);
            self.lift();
            open(self)
        });
        self.cache = Some(self.expect(opened));
        let perhaps = self.perhaps.drain(..).flat_map(|model| model.after_failed_close());
        self.models.extend(perhaps);
        self.find_out();
    }

    /// Finds out which model an opened file is like, and how much of its recency was lost.
    fn find_out(&mut self) {
        let keys = script::keys();
        let found = self.reading(|cache| cache.get_many(&keys));
        self.assert(self.folder.path().join("cache.db-wal").exists(), "there is no log");
        let found: BTreeMap<_, _> =
            found.into_iter().map(|(key, value)| (key, (*value).clone())).collect();
        let now = self.now;
        let mut models: Vec<_> =
            self.models.iter().map(|model| model.after(&Op::Pass(0), now).0).collect();
        models.retain(|model| model.stored() == found);
        models.truncate(1);
        let Some(mut model) = models.pop() else {
            self.fail(&format!("there is {found:#?} and not {:#?}", self.models));
        };
        for key in found.keys() {
            let info = self.reading(|cache| cache.info(key)).expect("it was found");
            let (created, accessed) =
                (info.created.as_nanos() / 1_000_000, info.accessed.as_nanos() / 1_000_000);
            let row = model.row(key).expect("the model has it").clone();
            let lawful = created == row.created && (created..=row.accessed).contains(&accessed);
            self.assert(lawful, &format!("{key}: {info:?}, and not {row:?}"));
            model.set_accessed(key, accessed);
        }
        self.models = vec![model];
    }

    fn expect<R>(&self, result: Result<R, Error>) -> R {
        result.unwrap_or_else(|error| self.fail(&format!("the disk works again: {error:?}")))
    }

    fn assert(&self, holds: bool, message: &str) {
        if !holds {
            self.fail(message);
        }
    }

    fn fail(&self, message: &str) -> ! {
        let log = self.log.join("\n");
        panic!("{:?}, {:?}, after\n{log}\n{message}", self.way, self.fault);
    }
}

fn perform(cache: &Cache, op: &Op) -> Result<Answer, Error> {
    match op {
        Op::Put(pairs) => match &pairs[..] {
            [(key, value)] => cache.put(key, value.clone())?,
            _ => cache.put_many(pairs.iter().cloned())?,
        },
        Op::Get(key) => {
            return Ok(Answer::Found(cache.get(key)?.map(|value| (*value).clone())));
        }
        Op::GetMany(keys) => {
            let found = cache.get_many(keys)?;
            let found = found.into_iter().map(|(key, value)| (key, (*value).clone()));
            return Ok(Answer::Many(found.collect()));
        }
        Op::Delete(keys) => {
            return Ok(Answer::Count(match &keys[..] {
                [key] => usize::from(cache.delete(key)?),
                _ => cache.delete_many(keys)?,
            }));
        }
        Op::Clear => cache.clear()?,
        Op::Flush => cache.flush()?,
        Op::Maintain => cache.run_maintenance()?,
        Op::EvictMemory => cache.evict_memory(),
        Op::Pass(_) | Op::Reopen => unreachable!("the run does these"),
    }
    Ok(Answer::Done)
}
