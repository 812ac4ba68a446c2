//! Does the same to a cache and to the model, and compares everything that can be seen of them.

use super::handle::{Handle, Log, Look, Place, open};
use super::injuries::injure;
use super::sequence::{Draft, Ending, Sequence, Setup, Step};
use crate::model::{Event, Model, Told, Value};
use crate::operations::{Call, Group, Key, Load, Operation, Swap, When};
use disk_backed_cache::{CacheFile, Clock, Error, ErrorKind, ManualClock, Stats, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use tempfile::TempDir;

/// `verify` reads the whole file, and so it is asked less often than everything else.
const VERIFY_EVERY: usize = 8;

/// Runs one sequence and says what happened in it.
pub fn run(sequence: &Sequence) -> Result<BTreeSet<Event>, TestCaseError> {
    let mut pair = Pair::new(sequence)?;
    for (index, step) in sequence.steps.iter().enumerate() {
        let verify = index % VERIFY_EVERY == 0 || index + 1 == sequence.steps.len();
        pair.step(step)
            .and_then(|()| pair.compare())
            .and_then(|()| pair.compare_told())
            .and_then(|()| if verify { pair.verify() } else { Ok(()) })
            .map_err(|error| {
                TestCaseError::fail(format!("after step {index}, {step:?}: {error}"))
            })?;
    }
    Ok(pair.model.events().clone())
}

/// A cache and the model of it.
struct Pair {
    /// Always there, but for a moment while it is reopened.
    cache: Option<Box<dyn Handle>>,
    model: Model,
    /// How both are open.
    setup: Setup,
    clock: Arc<ManualClock>,
    place: Place,
    log: Log,
    /// Removes the file when all is over.
    _folder: Option<TempDir>,
}

impl Pair {
    fn new(sequence: &Sequence) -> Result<Self, TestCaseError> {
        let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(1_700_000_000_000_000_000)));
        let folder = sequence.on_file.then(|| TempDir::new().unwrap());
        let place = match &folder {
            Some(folder) => Place::File(folder.path().join("cache.db")),
            None => Place::Memory(CacheFile::open_in_memory().map_err(failed)?),
        };
        let log = Log::default();
        let (cache, schema) = open(&place, &sequence.setup, &clock, &log).map_err(failed)?;
        let model = Model::new(sequence.setup.settings.clone(), schema);
        let setup = sequence.setup.clone();
        Ok(Self { cache: Some(cache), model, setup, clock, place, log, _folder: folder })
    }

    /// Does one thing to both and compares the answers.
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Do(operation) => self.operation(operation),
            Step::Injure(key, injury) => {
                if let Place::File(path) = &self.place {
                    injure(path, key.text(), *injury);
                    self.model.damage(key.text(), injury.damage());
                }
                Ok(())
            }
            Step::Reopen(ending, setup) => self.reopen(*ending, setup.clone()),
            Step::Release(edition) => {
                let setup = Setup { edition: *edition, ..self.setup.clone() };
                self.reopen(Ending::Closed, setup)
            }
        }
    }

    fn operation(&mut self, operation: &Operation<Draft>) -> Result<(), TestCaseError> {
        let model = &mut self.model;
        let cache = self.cache.as_deref().expect("the cache is open");
        match operation {
            Operation::Call(call, when) => self.call(call, *when),
            Operation::Clear => {
                model.clear();
                agree(cache.clear(), Ok(()))
            }
            Operation::EvictMemory => {
                model.evict_memory();
                cache.evict_memory();
                Ok(())
            }
            Operation::RunMaintenance => {
                model.run_maintenance(self.clock.now());
                agree(cache.run_maintenance(), Ok(()))
            }
            Operation::PurgeOutdated => agree(cache.purge_outdated(), Ok(model.purge_outdated())),
            Operation::Repair => agree(cache.repair(), Ok(model.repair())),
            // Nothing that can be seen changes.
            Operation::Flush => agree(cache.flush(), Ok(())),
            Operation::Advance(by) => {
                self.clock.advance(*by);
                Ok(())
            }
        }
    }

    /// What the model is told, the cache must read from its clock where no explicit time is given.
    fn call(&mut self, call: &Call<Draft>, when: When) -> Result<(), TestCaseError> {
        let explicit = when.explicit(self.clock.now());
        let now = explicit.unwrap_or(self.clock.now());
        let model = &mut self.model;
        let cache = self.cache.as_deref().expect("the cache is open");
        match call {
            Call::Get(key) => {
                let expected = model.get(key.text(), now);
                let expected = expected.map(|found| found.map(|value| value.content));
                agree(cache.get(key.text(), explicit), expected)
            }
            Call::Put(key, draft) => {
                let expected = model.put(key.text(), cache.value_of(*draft), now);
                agree(cache.put(key.text(), *draft, explicit), expected)
            }
            Call::PutWith(key, draft, ttl, tags) => {
                let (tags, value) = (tags.texts(), cache.value_of(*draft));
                let expected = model.put_with(key.text(), value, *ttl, &tags, now);
                agree(cache.put_with(key.text(), *draft, *ttl, &tags, explicit), expected)
            }
            Call::Touch(key) => {
                agree(cache.touch(key.text(), explicit), model.touch(key.text(), now))
            }
            Call::Peek(key) => {
                let expected = model.peek(key.text(), now);
                let expected = expected.map(|found| found.map(|value| value.content));
                agree(cache.peek(key.text(), explicit), expected)
            }
            Call::Load(load) => self.load(*load, explicit, now),
            Call::Swap(swap) => self.swap(*swap, explicit, now),
            Call::Delete(key) => {
                agree(cache.delete(key.text(), explicit), model.delete(key.text(), now))
            }
            Call::GetMany(keys) => {
                let keys = texts(keys);
                let expected = model.get_many(&keys, now).map(|found| {
                    found.into_iter().map(|(key, value)| (key, value.content)).collect()
                });
                agree(cache.get_many(&keys, explicit), expected)
            }
            Call::PutMany(pairs) => {
                let drafts: Vec<(&str, Draft)> =
                    pairs.iter().map(|(key, draft)| (key.text(), *draft)).collect();
                let values: Vec<(&str, Value)> =
                    drafts.iter().map(|(key, draft)| (*key, cache.value_of(*draft))).collect();
                agree(cache.put_many(&drafts, explicit), model.put_many(&values, now))
            }
            Call::DeleteMany(keys) => {
                let keys = texts(keys);
                agree(cache.delete_many(&keys, explicit), model.delete_many(&keys, now))
            }
            Call::Look(key) => {
                agree(cache.look(key.text(), explicit), look(model, key.text(), now))
            }
            Call::Group(group) => self.group(*group, explicit, now),
        }
    }

    fn load(
        &mut self,
        load: Load<Draft>,
        explicit: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), TestCaseError> {
        let model = &mut self.model;
        let cache = self.cache.as_deref().expect("the cache is open");
        match load {
            Load::Made(key, draft) => {
                let expected = model.load(key.text(), cache.value_of(draft), now);
                let expected = expected.map(|value| value.content);
                agree(cache.load(key.text(), draft, explicit), expected)
            }
            Load::InVain(key) => {
                let expected = model.load_in_vain(key.text(), now);
                let expected = expected.map(|found| found.map(|value| value.content));
                agree(cache.load_in_vain(key.text(), explicit), expected)
            }
            Load::Refresh(key, draft) => {
                let made = draft.map(|draft| cache.value_of(draft));
                let expected = model.refresh(key.text(), made, now);
                let expected = expected.map(|found| found.map(|value| value.content));
                let Stats { refreshes, refresh_failures, .. } = model.stats();
                let actual = cache.refresh(key.text(), draft, explicit);
                cache.wait_for_refreshes(refreshes + refresh_failures);
                agree(actual, expected)
            }
        }
    }

    fn group(
        &mut self,
        group: Group,
        explicit: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), TestCaseError> {
        let model = &mut self.model;
        let cache = self.cache.as_deref().expect("the cache is open");
        match group {
            Group::Scan(prefix) => {
                agree(cache.scan(prefix.text(), explicit), Ok(model.scan(prefix.text(), now)))
            }
            Group::Values(prefix) => {
                let found = model.values(prefix.text(), now).into_iter();
                let expected = found.map(|(key, value)| (key, value.content)).collect();
                agree(cache.values(prefix.text(), explicit), Ok(expected))
            }
            Group::Delete(prefix) => {
                let expected = model.delete_prefix(prefix.text(), now);
                agree(cache.delete_prefix(prefix.text(), explicit), Ok(expected))
            }
            Group::DeleteTag(tag) => {
                let expected = model.delete_tag(tag.text(), now);
                agree(cache.delete_tag(tag.text(), explicit), Ok(expected))
            }
            Group::Retain(size) => {
                agree(cache.retain_from(size, explicit), Ok(model.retain_from(size, now)))
            }
        }
    }

    fn swap(
        &mut self,
        swap: Swap<Draft>,
        explicit: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), TestCaseError> {
        let model = &mut self.model;
        let cache = self.cache.as_deref().expect("the cache is open");
        match swap {
            Swap::PutIfAbsent(key, draft) => {
                let expected = model.put_if_absent(key.text(), cache.value_of(draft), now);
                agree(cache.put_if_absent(key.text(), draft, explicit), expected)
            }
            Swap::PutIfRevision(key, draft) => {
                let expected = model.put_if_revision(key.text(), cache.value_of(draft), now);
                agree(cache.put_if_revision(key.text(), draft, explicit), expected)
            }
            Swap::Replace(key, draft) => {
                let expected = model.replace(key.text(), cache.value_of(draft), now);
                agree(cache.replace(key.text(), draft, explicit), expected)
            }
            Swap::Take(key) => {
                let expected = model.take(key.text(), now);
                let expected = expected.map(|found| found.map(|value| value.content));
                agree(cache.take(key.text(), explicit), expected)
            }
        }
    }

    /// However the handle before ends, the next one finds the same.
    fn reopen(&mut self, ending: Ending, setup: Setup) -> Result<(), TestCaseError> {
        let last_stats = self.model.close();
        let mut before = self.cache.take();
        match &before {
            Some(cache) if ending != Ending::Dropped => {
                cache.close().map_err(failed)?;
                prop_assert_eq!(cache.stats(), last_stats, "statistics after closing {}", SIDES);
                let refusal = cache.get("a", None).map_err(|error| error.kind());
                prop_assert_eq!(refusal, Err(ErrorKind::Closed));
            }
            _ => {}
        }
        before = before.filter(|_| ending == Ending::ClosedAndKept);
        let (cache, schema) = open(&self.place, &setup, &self.clock, &self.log).map_err(failed)?;
        drop(before);
        self.cache = Some(cache);
        self.model.reopen(setup.settings.clone(), schema);
        self.setup = setup;
        Ok(())
    }

    /// Everything that can be asked without changing anything.
    fn compare(&self) -> Result<(), TestCaseError> {
        let cache = self.cache.as_deref().expect("the cache is open");
        let now = self.clock.now();
        prop_assert_eq!(cache.stats(), self.model.stats(), "statistics {}", SIDES);
        agree(cache.len(), Ok(self.model.len()))?;
        agree(cache.is_empty(), Ok(self.model.is_empty()))?;
        agree(cache.total_size(), Ok(self.model.total_size()))?;
        for key in Key::all_valid() {
            let actual = cache.look(key.text(), None).map_err(failed)?;
            let expected = look(&self.model, key.text(), now).expect("the key is valid");
            prop_assert_eq!(actual, expected, "key {:?} {}", key, SIDES);
        }
        Ok(())
    }

    /// What the listener was told of each key, in its order.
    fn compare_told(&mut self) -> Result<(), TestCaseError> {
        let told = std::mem::take(&mut *self.log.lock().unwrap());
        prop_assert_eq!(by_key(told), by_key(self.model.take_told()), "told {}", SIDES);
        Ok(())
    }

    fn verify(&self) -> Result<(), TestCaseError> {
        let cache = self.cache.as_deref().expect("the cache is open");
        let report = cache.verify().map_err(failed)?;
        prop_assert!(report.is_ok(), "verify: {:?}", report.problems());
        let damaged: BTreeSet<String> = report.damaged().iter().cloned().collect();
        prop_assert_eq!(damaged, self.model.damaged(), "damaged rows {}", SIDES);
        Ok(())
    }
}

fn by_key(told: Vec<Told>) -> BTreeMap<String, Vec<Told>> {
    let mut by_key = BTreeMap::<String, Vec<Told>>::new();
    for told in told {
        by_key.entry(told.key.clone()).or_default().push(told);
    }
    by_key
}

const SIDES: &str = "(left: cache, right: model)";

fn agree<A: Debug + PartialEq>(
    actual: Result<A, Error>,
    expected: Result<A, ErrorKind>,
) -> Result<(), TestCaseError> {
    let actual = actual.map_err(|error| error.kind());
    prop_assert_eq!(actual, expected, "answer {}", SIDES);
    Ok(())
}

fn look(model: &Model, key: &str, now: Timestamp) -> Result<Look, ErrorKind> {
    Ok(Look {
        contains: model.contains_key(key, now)?,
        tier: model.tier_of(key, now)?,
        info: model.info(key, now)?,
    })
}

fn texts(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.text()).collect()
}

fn failed(error: Error) -> TestCaseError {
    TestCaseError::fail(format!("an operation that cannot fail: {error:?}"))
}
