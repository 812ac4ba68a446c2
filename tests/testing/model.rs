//! U2, U3: the reference model and its strategies, as a test of other code uses them.

use disk_backed_cache::testing::model::{Info, Model, OwnTtl, Schema, Settings, Told, Value};
use disk_backed_cache::testing::operations::{Call, Key, Load, Operation, Swap};
use disk_backed_cache::testing::strategies::{operations, settings};
use disk_backed_cache::{
    CacheFile, Cacheable, Clock, Compatibility, DiskBackedCache, ErrorKind, ManualClock, Outdated,
    PutOptions, Timestamp, semver,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A cache behind a face of its own, and whether it takes `get` for its reads or, wrongly, `peek`.
struct Notes {
    cache: DiskBackedCache<String>,
    slides: bool,
}

impl Notes {
    fn read(&self, key: Key) -> Result<Option<Value>, ErrorKind> {
        let (cache, key) = (&self.cache, key.text());
        let found = if self.slides { cache.get(key) } else { cache.peek(key) };
        found
            .map(|note| note.map(|note| Value::json(&*note).unwrap()))
            .map_err(|error| error.kind())
    }

    fn write(&self, key: Key, note: &str, options: PutOptions) -> Result<(), ErrorKind> {
        self.cache.put_with(key.text(), note.to_owned(), options).map_err(|error| error.kind())
    }
}

/// Does what the operation says to both, as far as notes are concerned, and compares the answers.
fn agree(
    notes: &Notes,
    model: &mut Model,
    clock: &ManualClock,
    operation: Operation<String>,
) -> Result<(), TestCaseError> {
    let now = clock.now();
    match operation {
        Operation::Call(Call::Get(key) | Call::Load(Load::InVain(key)), _) => {
            prop_assert_eq!(notes.read(key), model.get(key.text(), now));
        }
        Operation::Call(Call::Put(key, note) | Call::Swap(Swap::Replace(key, note)), _) => {
            let expected = model.put(key.text(), Value::json(&note).unwrap(), now);
            prop_assert_eq!(notes.write(key, &note, PutOptions::new()), expected);
        }
        Operation::Call(Call::PutWith(key, note, ttl, tags), _) => {
            let value = Value::json(&note).unwrap();
            let options = ttl.map_or_else(PutOptions::new, PutOptions::from);
            let options = tags.texts().iter().fold(options, |options, tag| options.tag(tag));
            let expected = model.put_with(key.text(), value, ttl, &tags.texts(), now);
            prop_assert_eq!(notes.write(key, &note, options), expected);
        }
        Operation::Advance(time) => clock.advance(time),
        Operation::RunMaintenance => {
            model.run_maintenance(now);
            prop_assert!(notes.cache.run_maintenance().is_ok());
        }
        Operation::Clear => {
            model.clear();
            prop_assert!(notes.cache.clear().is_ok());
        }
        _ => {}
    }
    prop_assert_eq!(notes.cache.len().unwrap(), model.len());
    Ok(())
}

fn outcome(slides: bool) -> Result<(), String> {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    let steps = vec(operations("[a-z]{0,60}"), 1..80);
    let outcome = TestRunner::new(config).run(&(settings(), steps), |(settings, steps)| {
        let clock = Arc::new(ManualClock::default());
        let cache = settings.builder().clock(clock.clone()).open_in_memory().unwrap();
        let notes = Notes { cache, slides };
        let mut model = Model::new(settings, Schema::of::<String>());
        steps.into_iter().try_for_each(|step| agree(&notes, &mut model, &clock, step))
    });
    outcome.map_err(|error| error.to_string())
}

// rule: U2, U3
#[test]
fn code_that_does_what_the_model_does_passes_and_other_code_is_found() {
    outcome(true).unwrap();
    let found = outcome(false).unwrap_err();
    assert!(found.starts_with("Test failed"), "{found}");
}

// rule: U2
#[test]
fn the_models_settings_are_the_builders_unless_set() {
    let builder = DiskBackedCache::<u32>::builder().background_maintenance(false);
    let settings = Settings::default();
    assert_eq!(format!("{:?}", settings.builder::<u32>()), format!("{builder:?}"));

    let second = Duration::from_secs;
    let mut settings = Settings::default();
    (settings.memory_entries, settings.memory_bytes) = (7, 500);
    (settings.memory_ttl, settings.disk_ttl) = (Some(second(1)), Some(second(2)));
    (settings.disk_entries, settings.disk_bytes) = (Some(8), Some(600));
    (settings.max_item_size, settings.max_age) = (Some(50), Some(second(3)));
    (settings.fail_safe, settings.stale_while_revalidate) = (Some(second(4)), Some(second(5)));
    settings.refresh_ahead = Some(0.75);
    let builder = builder.memory_entries(7).memory_bytes(500).memory_ttl(second(1));
    let builder = builder.disk_ttl(second(2)).disk_entries(8).disk_bytes(600).max_item_size(50);
    let builder = builder.max_age(second(3)).fail_safe(second(4));
    let builder = builder.stale_while_revalidate(second(5)).refresh_ahead(0.75);
    assert_eq!(format!("{:?}", settings.builder::<u32>()), format!("{builder:?}"));
}

macro_rules! edition {
    ($edition:ident, $version:literal) => {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct $edition(u32);

        impl Cacheable for $edition {
            fn type_name() -> Cow<'static, str> {
                "edition".into()
            }

            fn schema_version() -> semver::Version {
                semver::Version::new($version, 0, 0)
            }

            fn compatibility(stored: &semver::Version) -> Compatibility {
                let is_own = *stored == Self::schema_version();
                if is_own { Compatibility::Current } else { Compatibility::Upgrade }
            }

            fn upgrade(old: Outdated<'_>) -> Option<Self> {
                let First(number) = old.decode()?;
                number.is_multiple_of(2).then_some(Self(number + 1))
            }
        }
    };
}

edition! { First, 1 }
edition! { Second, 2 }

// rule: U2
#[test]
fn a_types_schema_is_what_the_type_says() {
    let file = CacheFile::open_in_memory().unwrap();
    let first = Settings::default().builder::<First>().open_in(&file).unwrap();
    let mut model = Model::new(Settings::default(), Schema::of::<First>());
    for (key, number) in [("even", 2), ("odd", 3)] {
        first.put(key, First(number)).unwrap();
        model.put(key, Value::json(&First(number)).unwrap(), Timestamp::MIN).unwrap();
    }
    first.close().unwrap();
    let second = Settings::default().builder::<Second>().open_in(&file).unwrap();
    model.reopen(Settings::default(), Schema::of::<Second>());
    for key in ["even", "odd"] {
        let found = second.get(key).unwrap().map(|value| Value::json(&*value).unwrap());
        assert_eq!(found, model.get(key, Timestamp::MIN).unwrap(), "{key}");
    }
    assert_eq!(second.stats(), model.stats());
    assert_eq!(second.get("even").unwrap().as_deref(), Some(&Second(3)));
    assert_eq!(second.stats().schema_mismatches, 1);
}

// rule: U2
#[test]
fn what_a_listener_is_told_and_what_is_known_of_an_entry_compare() {
    let (sender, removals) = mpsc::channel();
    let clock = Arc::new(ManualClock::default());
    let mut settings = Settings::default();
    settings.disk_entries = Some(1);
    let cache = settings
        .builder::<u32>()
        .clock(clock.clone())
        .eviction_listener(move |removal| drop(sender.send(Told::json(&removal).unwrap())))
        .open_in_memory()
        .unwrap();
    let mut model = Model::new(settings, Schema::of::<u32>());
    let ttl = OwnTtl::Fixed(Duration::from_secs(9));
    for (key, number) in [("a", 1_u32), ("b", 22)] {
        cache.put_with(key, number, ttl.into()).unwrap();
        let value = Value::json(&number).unwrap();
        model.put_with(key, value, Some(ttl), &[], clock.now()).unwrap();
    }
    assert_eq!(removals.try_iter().collect::<Vec<_>>(), model.take_told());
    let info = cache.info("b").unwrap().map(Info::from);
    assert_eq!(info, model.info("b", clock.now()).unwrap());
    assert_eq!(info.unwrap().size, 2);
}
