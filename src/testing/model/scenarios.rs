//! The model is not trusted blindly: scenarios worked out by hand from the semantics.

use super::{Damage, Model, OwnTtl, Schema, Settings, Value};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Compatibility, ErrorKind, Tier, Timestamp};
use std::time::Duration;

const ROOMY: Settings = Settings {
    memory_entries: 100,
    memory_bytes: 1_000,
    memory_ttl: None,
    disk_entries: None,
    disk_bytes: None,
    disk_ttl: None,
    max_item_size: None,
    max_age: None,
    fail_safe: None,
    stale_while_revalidate: None,
    refresh_ahead: None,
    stored: |content| content.len() as u64,
};

const SECOND_EDITION: Schema = Schema {
    own: Version::new(2, 0, 0),
    compatibility: |stored| match stored.major {
        2 => Compatibility::Current,
        _ => Compatibility::Discard,
    },
    upgrade: |_, _| None,
};

/// Reads what the second edition wrote, adding a word; gives up on "hopeless".
const THIRD_EDITION: Schema = Schema {
    own: Version::new(3, 0, 0),
    compatibility: |stored| match stored.major {
        3 => Compatibility::Current,
        2 => Compatibility::Upgrade,
        _ => Compatibility::Discard,
    },
    upgrade: |_, content| (content != "hopeless").then(|| value(&format!("{content} again"))),
};

fn value(content: &str) -> Value {
    Value { content: content.to_owned(), size: content.len() as u64 }
}

fn open(settings: Settings) -> Model {
    Model::new(settings, SECOND_EDITION)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// The tiers of some keys: `M`emory, `D`isk, or `-` for none.
fn tiers(model: &Model, keys: &[&str], now: Timestamp) -> String {
    let letter = |key: &&str| match model.tier_of(key, now).unwrap() {
        Some(Tier::Memory) => 'M',
        Some(Tier::Disk) => 'D',
        None => '-',
    };
    keys.iter().map(letter).collect()
}

fn get(model: &mut Model, key: &str, now: Timestamp) -> Option<String> {
    model.get(key, now).unwrap().map(|value| value.content)
}

#[test]
fn the_least_recently_used_leaves_memory_and_stays_on_disk() {
    let mut model = open(Settings { memory_entries: 2, ..ROOMY });
    model.put("a", value("1"), at(1)).unwrap();
    model.put("b", value("2"), at(2)).unwrap();
    assert_eq!(get(&mut model, "a", at(3)).as_deref(), Some("1"));
    model.put("c", value("3"), at(4)).unwrap();
    assert_eq!(tiers(&model, &["a", "b", "c"], at(4)), "MDM");
    let stats = model.stats();
    assert_eq!((stats.memory_evictions, stats.disk_evictions), (1, 0));
    assert_eq!((stats.memory_entries, stats.memory_bytes), (2, 2));
    assert_eq!((stats.disk_entries, stats.disk_bytes), (3, 3));
}

#[test]
fn ties_are_broken_alphabetically_in_both_tiers() {
    let mut model = open(Settings { memory_entries: 1, disk_entries: Some(2), ..ROOMY });
    for key in ["ä", "b", "B"] {
        model.put(key, value("x"), at(1)).unwrap();
    }
    // "B" is the smallest in the order of bytes, and its own victim.
    assert_eq!(tiers(&model, &["B", "b", "ä"], at(1)), "-DM");
    assert_eq!((model.stats().memory_evictions, model.stats().disk_evictions), (1, 1));
}

#[test]
fn what_leaves_the_disk_tier_leaves_memory_and_counts_only_there() {
    let mut model = open(Settings { disk_entries: Some(2), ..ROOMY });
    for (second, key) in [(1, "a"), (2, "b"), (3, "c")] {
        model.put(key, value("x"), at(second)).unwrap();
    }
    assert_eq!(tiers(&model, &["a", "b", "c"], at(3)), "-MM");
    assert_eq!((model.stats().memory_evictions, model.stats().disk_evictions), (0, 1));
    assert_eq!((model.len(), model.total_size()), (2, 2));
}

#[test]
fn a_batch_makes_room_only_when_all_of_it_is_in() {
    let mut model = open(Settings { memory_bytes: 10, ..ROOMY });
    model.put("x", value("123456"), at(9)).unwrap();
    // One after the other, "b" would leave for "x" and then "a" would fit.
    model.put_many(&[("b", value("12345")), ("a", value("1234"))], at(5)).unwrap();
    assert_eq!(tiers(&model, &["a", "b", "x"], at(9)), "DDM");
    assert_eq!(model.stats().memory_evictions, 2);
}

#[test]
fn an_older_explicit_time_makes_an_entry_its_own_victim() {
    let mut model = open(Settings { disk_entries: Some(1), ..ROOMY });
    model.put("young", value("1"), at(10)).unwrap();
    model.put("old", value("2"), at(5)).unwrap();
    assert_eq!(tiers(&model, &["young", "old"], at(10)), "M-");
    assert_eq!((model.stats().puts, model.stats().disk_evictions), (2, 1));
}

#[test]
fn both_lifetimes_slide_and_end_after_their_last_instant() {
    let mut model = open(Settings { memory_ttl: seconds(5), disk_ttl: seconds(20), ..ROOMY });
    model.put("a", value("x"), at(0)).unwrap();
    assert_eq!(tiers(&model, &["a"], at(5)), "M");
    assert_eq!(tiers(&model, &["a"], at(6)), "D");
    assert!(get(&mut model, "a", at(5)).is_some());
    assert!(get(&mut model, "a", at(10)).is_some(), "the get at 5 refreshed the copy");
    assert!(get(&mut model, "a", at(30)).is_some(), "the get at 10 refreshed the row");
    let stats = model.stats();
    assert_eq!((stats.memory_hits, stats.disk_hits, stats.memory_expirations), (2, 1, 1));
    assert_eq!(tiers(&model, &["a"], at(30)), "M", "a disk hit is promoted again");
    assert_eq!(model.info("a", at(30)).unwrap().unwrap().expires, Some(at(50)));
    assert!(get(&mut model, "a", at(51)).is_none());
    let stats = model.stats();
    assert_eq!((stats.misses, stats.memory_expirations, stats.disk_expirations), (1, 2, 1));
    assert_eq!(model.len(), 0);
}

#[test]
fn an_own_ttl_takes_the_place_of_the_disk_tiers() {
    let settings = Settings { memory_ttl: seconds(5), disk_ttl: seconds(6), ..ROOMY };
    let mut model = open(Settings { max_age: seconds(30), ..settings });
    let (twenty, fifty) = (Duration::from_secs(20), Duration::from_secs(50));
    model.put_with("sliding", value("x"), Some(OwnTtl::Sliding(twenty)), &[], at(0)).unwrap();
    model.put_with("fixed", value("x"), Some(OwnTtl::Fixed(twenty)), &[], at(0)).unwrap();
    model.put_with("aged", value("x"), Some(OwnTtl::Fixed(fifty)), &[], at(0)).unwrap();
    let keys = ["sliding", "fixed", "aged"];
    let view = |model: &Model, second| tiers(model, &keys, at(second));
    assert_eq!((view(&model, 5), view(&model, 6)), ("MMM".into(), "DDD".into()));
    assert!(model.touch("sliding", at(15)).unwrap() && model.touch("fixed", at(15)).unwrap());
    assert_eq!((view(&model, 20), view(&model, 21)), ("MMD".into(), "D-D".into()));
    assert_eq!((view(&model, 30), view(&model, 31)), ("D-D".into(), "---".into()));
    let ends = keys.map(|key| model.info(key, at(20)).unwrap().unwrap().expires);
    assert_eq!(ends, [at(30), at(20), at(30)].map(Some));
    model.put("fixed", value("x"), at(20)).unwrap();
    assert_eq!((view(&model, 26), view(&model, 27)), ("DDD".into(), "D-D".into()));
}

#[test]
fn max_age_counts_from_the_put_and_slides_never() {
    let mut model = open(Settings { disk_ttl: seconds(6), max_age: seconds(8), ..ROOMY });
    model.put("a", value("x"), at(0)).unwrap();
    assert!(get(&mut model, "a", at(5)).is_some());
    assert_eq!(model.info("a", at(5)).unwrap().unwrap().expires, Some(at(8)));
    assert_eq!(tiers(&model, &["a"], at(8)), "M");
    assert_eq!(tiers(&model, &["a"], at(9)), "-");
    assert!(!model.delete("a", at(9)).unwrap(), "an expired entry is not live");
    let stats = model.stats();
    assert_eq!((stats.deletes, stats.memory_expirations, stats.disk_expirations), (1, 1, 1));
}

#[test]
fn a_batch_of_gets_neither_touches_nor_promotes() {
    let mut model = open(Settings { memory_ttl: seconds(5), ..ROOMY });
    model.put("a", value("x"), at(0)).unwrap();
    let found = model.get_many(&["a", "a", "none"], at(6)).unwrap();
    assert_eq!(found.len(), 1);
    let stats = model.stats();
    assert_eq!((stats.gets, stats.disk_hits, stats.misses), (3, 2, 1));
    assert_eq!((stats.memory_expirations, stats.memory_entries), (1, 0));
    assert_eq!(model.info("a", at(6)).unwrap().unwrap().accessed, at(0));
}

#[test]
fn a_large_value_is_disk_only_and_a_larger_one_is_refused() {
    let settings = Settings { max_item_size: Some(3), disk_bytes: Some(5), ..ROOMY };
    let mut model = open(settings);
    model.put("a", value("123"), at(0)).unwrap();
    model.put("a", value("1234"), at(1)).unwrap();
    assert_eq!(tiers(&model, &["a"], at(1)), "D", "the smaller copy left memory");
    assert!(get(&mut model, "a", at(2)).is_some());
    assert_eq!(tiers(&model, &["a"], at(2)), "D", "and is not promoted");
    assert_eq!(model.put("a", value("123456"), at(3)), Err(ErrorKind::TooLarge));
    assert_eq!(get(&mut model, "a", at(3)).as_deref(), Some("1234"));
    assert_eq!((model.stats().puts, model.stats().memory_evictions), (2, 0));
}

#[test]
fn an_upgraded_row_keeps_its_creation_and_may_grow_out_of_the_cache() {
    let mut model = open(Settings { disk_bytes: Some(10), ..ROOMY });
    model.put("a", value("aaa"), at(1)).unwrap();
    model.put("b", value("bbb"), at(2)).unwrap();
    model.close();
    model.reopen(Settings { disk_bytes: Some(10), ..ROOMY }, THIRD_EDITION);
    // 9 and 3 bytes are too many, and after the touch of "a" the other is the older one.
    assert_eq!(get(&mut model, "a", at(3)).as_deref(), Some("aaa again"));
    assert_eq!(tiers(&model, &["a", "b"], at(3)), "M-");
    let info = model.info("a", at(3)).unwrap().unwrap();
    assert_eq!((info.created, info.accessed, info.version), (at(1), at(3), Version::new(3, 0, 0)));
    let stats = model.stats();
    assert_eq!((stats.disk_hits, stats.puts, stats.disk_evictions), (1, 0, 1));
}

#[test]
fn rows_of_lower_versions_are_removed_when_met_and_higher_ones_stay() {
    let mut model = Model::new(ROOMY, THIRD_EDITION);
    model.put("a", value("x"), at(1)).unwrap();
    model.close();
    model.reopen(ROOMY, SECOND_EDITION);
    assert!(!model.contains_key("a", at(1)).unwrap());
    assert!(get(&mut model, "a", at(1)).is_none());
    assert_eq!((model.purge_outdated(), model.len()), (0, 1));
    model.put("b", value("hopeless"), at(1)).unwrap();
    model.close();
    model.reopen(ROOMY, THIRD_EDITION);
    assert!(model.contains_key("b", at(1)).unwrap(), "only a get tries to upgrade");
    assert!(get(&mut model, "b", at(1)).is_none());
    assert_eq!((model.stats().schema_mismatches, model.len()), (1, 1));
}

#[test]
fn damage_shows_when_memory_no_longer_answers() {
    let mut model = open(ROOMY);
    model.put("a", value("x"), at(1)).unwrap();
    model.damage("a", Damage::Value);
    assert!(get(&mut model, "a", at(1)).is_some());
    model.evict_memory();
    assert!(model.contains_key("a", at(1)).unwrap());
    assert!(get(&mut model, "a", at(1)).is_none());
    let stats = model.stats();
    assert_eq!((stats.decode_failures, stats.misses, stats.disk_entries), (1, 1, 0));
}

#[test]
fn a_group_is_what_begins_with_its_prefix() {
    let mut model = open(Settings { disk_ttl: seconds(5), ..ROOMY });
    for (second, key) in [(0, "a1"), (3, "a2"), (4, "b"), (4, "A1")] {
        model.put(key, value("x"), at(second)).unwrap();
    }
    let found = |model: &Model, prefix, second| -> Vec<String> {
        model.scan(prefix, at(second)).into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(found(&model, "a", 5), ["a1", "a2"]);
    assert_eq!(found(&model, "", 6), ["A1", "a2", "b"]);
    assert_eq!(model.values("b", at(5)).len(), 1);
    assert_eq!((model.delete_prefix("a", at(6)), model.len()), (1, 2));
    assert_eq!((model.retain_from(1, at(6)), model.retain_from(2, at(6))), (0, 2));
    let stats = model.stats();
    assert_eq!((stats.deletes, stats.gets, stats.disk_expirations), (3, 1, 1));
}

#[test]
fn tags_are_an_entrys_until_it_is_put_again() {
    let mut model = open(Settings { disk_ttl: seconds(5), ..ROOMY });
    for (second, key) in [(0, "expired"), (3, "tagged"), (3, "put again")] {
        model.put_with(key, value("x"), None, &["red", "round"], at(second)).unwrap();
    }
    model.put_with("other", value("x"), None, &["Red"], at(3)).unwrap();
    model.put("put again", value("x"), at(4)).unwrap();
    assert_eq!((model.delete_tag("red", at(6)), model.len()), (1, 2));
    assert_eq!(model.delete_tag("round", at(6)), 0);
    let stats = model.stats();
    assert_eq!((stats.deletes, stats.disk_expirations), (1, 1));
}

#[test]
fn maintenance_reclaims_rows_and_leaves_copies_expired_in_memory() {
    let mut model = open(Settings { memory_ttl: seconds(2), disk_ttl: seconds(9), ..ROOMY });
    model.put("a", value("x"), at(0)).unwrap();
    model.put("b", value("x"), at(5)).unwrap();
    model.run_maintenance(at(10));
    let stats = model.stats();
    assert_eq!((stats.disk_expirations, stats.memory_expirations), (1, 1));
    assert_eq!((stats.disk_entries, stats.memory_entries), (1, 1));
}

#[test]
fn opening_with_smaller_limits_evicts_and_counts_from_zero() {
    let mut model = open(ROOMY);
    for (second, key) in [(1, "a"), (2, "b"), (3, "c")] {
        model.put(key, value("x"), at(second)).unwrap();
    }
    assert_eq!(model.close().puts, 3);
    model.reopen(Settings { disk_entries: Some(1), ..ROOMY }, SECOND_EDITION);
    assert_eq!((model.stats().puts, model.stats().disk_evictions), (0, 2));
    assert_eq!(tiers(&model, &["a", "b", "c"], at(3)), "--D");
}
