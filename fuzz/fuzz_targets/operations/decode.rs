//! A sequence from bytes, step by step, so that a mutation of some bytes changes some steps.
//!
//! (proptest's own way from bytes to values halves what is left at every branch and runs dry.)

use crate::model::{OwnTtl, Settings};
use crate::operations::{Call, Group, Key, Load, Operation, Prefix, Swap, Tag, Tags, When};
use crate::sequence::{Draft, Edition, Ending, Injury, Sequence, Setup, Step};
use arbitrary::{Result, Unstructured};
use std::ops::RangeInclusive;
use std::time::Duration;

/// More take longer than they find.
const MOST_STEPS: usize = 200;

pub fn sequence(bytes: &[u8]) -> Result<Sequence> {
    let bytes = &mut Unstructured::new(bytes);
    let (on_file, setup) = (bytes.arbitrary()?, setup(bytes)?);
    let mut steps = Vec::new();
    while !bytes.is_empty() && steps.len() < MOST_STEPS {
        steps.push(step(bytes)?);
    }
    Ok(Sequence { on_file, setup, steps })
}

fn step(bytes: &mut Unstructured<'_>) -> Result<Step> {
    Ok(Step::Do(match bytes.int_in_range(0..=31_u8)? {
        9..=11 => return Ok(Step::Injure(key(bytes)?, injury(bytes)?)),
        12 => return Ok(Step::Reopen(ending(bytes)?, setup(bytes)?)),
        13 => return Ok(Step::Release(edition(bytes)?)),
        0 => Operation::Clear,
        1 => Operation::EvictMemory,
        2 => Operation::RunMaintenance,
        3 => Operation::PurgeOutdated,
        4 => Operation::Repair,
        5 => Operation::Flush,
        6..=8 => Operation::Advance(seconds(bytes, 1..=60)?),
        _ => Operation::Call(call(bytes)?, when(bytes)?),
    }))
}

fn call(bytes: &mut Unstructured<'_>) -> Result<Call<Draft>> {
    Ok(match bytes.int_in_range(0..=31_u8)? {
        0..=5 => Call::Get(key(bytes)?),
        6..=10 => Call::Put(key(bytes)?, draft(bytes)?),
        11 => Call::Delete(key(bytes)?),
        12 => Call::GetMany(several(bytes, key)?),
        13 => Call::PutMany(several(bytes, |bytes| Ok((key(bytes)?, draft(bytes)?)))?),
        14 => Call::DeleteMany(several(bytes, key)?),
        18..=20 | 25 => Call::Swap(swap(bytes)?),
        21..=22 => Call::PutWith(key(bytes)?, draft(bytes)?, Some(own_ttl(bytes)?), Tags::nth(0)),
        30..=31 => {
            Call::PutWith(key(bytes)?, draft(bytes)?, perhaps(bytes, own_ttl)?, tags(bytes)?)
        }
        23 => Call::Touch(key(bytes)?),
        24 => Call::Peek(key(bytes)?),
        26..=28 => Call::Group(group(bytes)?),
        15..=16 => Call::Load(Load::Made(key(bytes)?, draft(bytes)?)),
        17 => Call::Load(Load::InVain(key(bytes)?)),
        29 => Call::Load(Load::Refresh(key(bytes)?, perhaps(bytes, draft)?)),
        _ => Call::Look(key(bytes)?),
    })
}

fn swap(bytes: &mut Unstructured<'_>) -> Result<Swap<Draft>> {
    Ok(match bytes.int_in_range(0..=3_u8)? {
        0 => Swap::PutIfAbsent(key(bytes)?, draft(bytes)?),
        1 => Swap::PutIfRevision(key(bytes)?, draft(bytes)?),
        2 => Swap::Replace(key(bytes)?, draft(bytes)?),
        _ => Swap::Take(key(bytes)?),
    })
}

fn own_ttl(bytes: &mut Unstructured<'_>) -> Result<OwnTtl> {
    let ttl = match seconds(bytes, 1..=40)? {
        longest if longest == Duration::from_secs(40) => Duration::MAX,
        ttl => ttl,
    };
    Ok(if bytes.arbitrary()? { OwnTtl::Sliding(ttl) } else { OwnTtl::Fixed(ttl) })
}

fn when(bytes: &mut Unstructured<'_>) -> Result<When> {
    Ok(match bytes.int_in_range(0..=15_u8)? {
        0..=10 => When::Now,
        11..=13 => When::Off(bytes.int_in_range(-60..=60)?),
        14 => When::Earliest,
        _ => When::Latest,
    })
}

fn setup(bytes: &mut Unstructured<'_>) -> Result<Setup> {
    let edition = edition(bytes)?;
    let disk_ttl = perhaps(bytes, |bytes| seconds(bytes, 4..=50))?;
    let memory_ttl: Option<Duration> = perhaps(bytes, |bytes| seconds(bytes, 1..=12))?;
    let settings = Settings {
        memory_entries: bytes.int_in_range(0..=8)?,
        memory_bytes: bytes.int_in_range(0..=600)?,
        // A copy cannot outlive its row.
        memory_ttl: memory_ttl.map(|ttl| disk_ttl.map_or(ttl, |disk| ttl.min(disk))),
        disk_entries: perhaps(bytes, |bytes| bytes.int_in_range(1..=10))?,
        disk_bytes: perhaps(bytes, |bytes| bytes.int_in_range(60..=600))?,
        disk_ttl,
        max_item_size: perhaps(bytes, |bytes| bytes.int_in_range(20..=80))?,
        max_age: perhaps(bytes, |bytes| seconds(bytes, 4..=40))?,
        fail_safe: perhaps(bytes, |bytes| seconds(bytes, 1..=30))?,
        stale_while_revalidate: perhaps(bytes, |bytes| seconds(bytes, 1..=30))?,
        refresh_ahead: perhaps(bytes, |bytes| Ok(f64::from(bytes.int_in_range(1..=3_u8)?) / 4.0))?,
        ..Settings::default()
    };
    let recency_lag =
        perhaps(bytes, |bytes| Ok(Duration::from_millis(bytes.int_in_range(1..=2_000)?)))?;
    let (verify_round_trip, compressed) = (bytes.arbitrary()?, bytes.arbitrary()?);
    Ok(Setup { edition, settings, recency_lag, verify_round_trip, compressed }.stored())
}

fn key(bytes: &mut Unstructured<'_>) -> Result<Key> {
    Ok(Key::nth(bytes.int_in_range(0..=Key::ALL - 1)?))
}

fn group(bytes: &mut Unstructured<'_>) -> Result<Group> {
    Ok(match bytes.int_in_range(0..=4_u8)? {
        4 => Group::DeleteTag(Tag::nth(bytes.int_in_range(0..=Tag::ALL - 1)?)),
        0 => Group::Scan(prefix(bytes)?),
        1 => Group::Values(prefix(bytes)?),
        2 => Group::Delete(prefix(bytes)?),
        _ => Group::Retain(bytes.int_in_range(0..=60)?),
    })
}

fn prefix(bytes: &mut Unstructured<'_>) -> Result<Prefix> {
    Ok(Prefix::nth(bytes.int_in_range(0..=Prefix::ALL - 1)?))
}

fn tags(bytes: &mut Unstructured<'_>) -> Result<Tags> {
    Ok(Tags::nth(bytes.int_in_range(0..=Tags::ALL - 1)?))
}

fn draft(bytes: &mut Unstructured<'_>) -> Result<Draft> {
    Ok(Draft { id: bytes.int_in_range(0..=31)?, padding: bytes.int_in_range(0..=59)? })
}

fn injury(bytes: &mut Unstructured<'_>) -> Result<Injury> {
    let all = [Injury::ValueBytes, Injury::ValueLength, Injury::Checksum, Injury::Version];
    bytes.choose(&all).copied()
}

fn ending(bytes: &mut Unstructured<'_>) -> Result<Ending> {
    bytes.choose(&[Ending::Closed, Ending::ClosedAndKept, Ending::Dropped]).copied()
}

fn edition(bytes: &mut Unstructured<'_>) -> Result<Edition> {
    let all = [Edition::First, Edition::Second, Edition::Third, Edition::ThirdRevised];
    bytes.choose(&all).copied()
}

fn seconds(bytes: &mut Unstructured<'_>, range: RangeInclusive<u64>) -> Result<Duration> {
    Ok(Duration::from_secs(bytes.int_in_range(range)?))
}

fn perhaps<R>(
    bytes: &mut Unstructured<'_>,
    choose: impl FnOnce(&mut Unstructured<'_>) -> Result<R>,
) -> Result<Option<R>> {
    if bytes.arbitrary()? { choose(bytes).map(Some) } else { Ok(None) }
}

fn several<R>(
    bytes: &mut Unstructured<'_>,
    choose: impl Fn(&mut Unstructured<'_>) -> Result<R>,
) -> Result<Vec<R>> {
    let count = bytes.int_in_range(0..=6_usize)?;
    (0..count).map(|_| choose(bytes)).collect()
}
