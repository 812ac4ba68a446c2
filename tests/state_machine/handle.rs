//! A cache open for any edition of the document, so that reopening can change the type.

use super::documents::{Document, First, Second, Third, ThirdRevised, encoded};
use super::sequence::{Draft, Edition, Setup};
use crate::model::{Info, OwnTtl, Schema, Told, Value};
use disk_backed_cache::{
    CacheFile, DiskBackedCache, EntryInfo, Error, LoadError, ManualClock, PutOptions, Removal,
    Report, Stats, Tier, Timestamp,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Where the database lies.
pub enum Place {
    File(PathBuf),
    /// A database in memory lives as long as its `CacheFile`.
    Memory(CacheFile),
}

/// What the listeners of all handles were told.
pub type Log = Arc<Mutex<Vec<Told>>>;

/// What is known of an entry without reading its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub contains: bool,
    pub tier: Option<Tier>,
    pub info: Option<Info>,
}

/// [`DiskBackedCache`] with values in their encoded form. Without an explicit time, the operation
/// reads the clock.
pub trait Handle {
    fn get(&self, key: &str, at: Option<Timestamp>) -> Result<Option<String>, Error>;
    fn put(&self, key: &str, draft: Draft, at: Option<Timestamp>) -> Result<(), Error>;
    fn put_with(
        &self,
        key: &str,
        draft: Draft,
        ttl: Option<OwnTtl>,
        tags: &[&str],
        at: Option<Timestamp>,
    ) -> Result<(), Error>;
    fn touch(&self, key: &str, at: Option<Timestamp>) -> Result<bool, Error>;
    fn peek(&self, key: &str, at: Option<Timestamp>) -> Result<Option<String>, Error>;
    /// With the revision that `info` has, if it has one.
    fn put_if_revision(
        &self,
        key: &str,
        draft: Draft,
        at: Option<Timestamp>,
    ) -> Result<bool, Error>;
    fn load(&self, key: &str, draft: Draft, at: Option<Timestamp>) -> Result<String, Error>;
    /// What is found where the loader fails.
    fn load_in_vain(&self, key: &str, at: Option<Timestamp>) -> Result<Option<String>, Error>;
    /// With a loader that makes that, or fails.
    fn refresh(
        &self,
        key: &str,
        draft: Option<Draft>,
        at: Option<Timestamp>,
    ) -> Result<Option<String>, Error>;
    /// Until so many have ended.
    fn wait_for_refreshes(&self, ended: u64);
    fn put_if_absent(&self, key: &str, draft: Draft, at: Option<Timestamp>) -> Result<bool, Error>;
    fn replace(&self, key: &str, draft: Draft, at: Option<Timestamp>) -> Result<bool, Error>;
    fn take(&self, key: &str, at: Option<Timestamp>) -> Result<Option<String>, Error>;
    fn delete(&self, key: &str, at: Option<Timestamp>) -> Result<bool, Error>;
    fn get_many(
        &self,
        keys: &[&str],
        at: Option<Timestamp>,
    ) -> Result<BTreeMap<String, String>, Error>;
    fn put_many(&self, pairs: &[(&str, Draft)], at: Option<Timestamp>) -> Result<(), Error>;
    fn delete_many(&self, keys: &[&str], at: Option<Timestamp>) -> Result<usize, Error>;
    fn look(&self, key: &str, at: Option<Timestamp>) -> Result<Look, Error>;
    fn scan(&self, prefix: &str, at: Option<Timestamp>) -> Result<Vec<(String, Info)>, Error>;
    fn values(&self, prefix: &str, at: Option<Timestamp>) -> Result<Vec<(String, String)>, Error>;
    fn delete_prefix(&self, prefix: &str, at: Option<Timestamp>) -> Result<u64, Error>;
    fn delete_tag(&self, tag: &str, at: Option<Timestamp>) -> Result<u64, Error>;
    /// Keeps what has so many bytes.
    fn retain_from(&self, size: u64, at: Option<Timestamp>) -> Result<u64, Error>;
    fn clear(&self) -> Result<(), Error>;
    fn evict_memory(&self);
    fn run_maintenance(&self) -> Result<(), Error>;
    fn purge_outdated(&self) -> Result<usize, Error>;
    /// How many rows stay and how many are gone. The totals were right.
    fn repair(&self) -> Result<(u64, u64), Error>;
    fn flush(&self) -> Result<(), Error>;
    fn close(&self) -> Result<(), Error>;
    fn len(&self) -> Result<u64, Error>;
    fn is_empty(&self) -> Result<bool, Error>;
    fn total_size(&self) -> Result<u64, Error>;
    fn stats(&self) -> Stats;
    fn verify(&self) -> Result<Report, Error>;
    /// What this handle stores for a draft, for the model.
    fn value_of(&self, draft: Draft) -> Value;
}

pub fn open(
    place: &Place,
    setup: &Setup,
    clock: &Arc<ManualClock>,
    log: &Log,
) -> Result<(Box<dyn Handle>, Schema), Error> {
    match setup.edition {
        Edition::First => open_as::<First>(place, setup, clock, log),
        Edition::Second => open_as::<Second>(place, setup, clock, log),
        Edition::Third => open_as::<Third>(place, setup, clock, log),
        Edition::ThirdRevised => open_as::<ThirdRevised>(place, setup, clock, log),
    }
}

fn open_as<D: Document>(
    place: &Place,
    setup: &Setup,
    clock: &Arc<ManualClock>,
    log: &Log,
) -> Result<(Box<dyn Handle>, Schema), Error> {
    let settings = &setup.settings;
    let log = Arc::clone(log);
    let mut builder = settings
        .builder::<D>()
        .clock(clock.clone())
        .eviction_listener(move |removal: Removal<D>| {
            log.lock().unwrap().push(Told::json(&removal).unwrap());
        })
        .verify_round_trip(setup.verify_round_trip);
    #[cfg(feature = "zstd")]
    if setup.compressed {
        let compression = disk_backed_cache::Compression::zstd(super::documents::LEVEL);
        builder = builder.compression(compression.min_size(0));
    }
    if let Some(lag) = setup.recency_lag {
        builder = builder.recency_lag(lag);
    }
    let cache = match place {
        Place::File(path) => builder.open(path)?,
        Place::Memory(file) => builder.open_in(file)?,
    };
    Ok((Box::new(cache), D::schema()))
}

impl<D: Document> Handle for DiskBackedCache<D> {
    fn get(&self, key: &str, at: Option<Timestamp>) -> Result<Option<String>, Error> {
        let found = match at {
            Some(at) => self.at(at).get(key)?,
            None => self.get(key)?,
        };
        Ok(found.map(|document| encoded(&*document).content))
    }

    fn put(&self, key: &str, draft: Draft, at: Option<Timestamp>) -> Result<(), Error> {
        let document = document::<D>(draft);
        match at {
            Some(at) => self.at(at).put(key, document),
            None => self.put(key, document),
        }
    }

    fn put_with(
        &self,
        key: &str,
        draft: Draft,
        ttl: Option<OwnTtl>,
        tags: &[&str],
        at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let document = document::<D>(draft);
        let options = ttl.map_or_else(PutOptions::new, PutOptions::from);
        let options = tags.iter().fold(options, |options, tag| options.tag(tag));
        match at {
            Some(at) => self.at(at).put_with(key, document, options),
            None => self.put_with(key, document, options),
        }
    }

    fn touch(&self, key: &str, at: Option<Timestamp>) -> Result<bool, Error> {
        match at {
            Some(at) => self.at(at).touch(key),
            None => self.touch(key),
        }
    }

    fn peek(&self, key: &str, at: Option<Timestamp>) -> Result<Option<String>, Error> {
        let found = match at {
            Some(at) => self.at(at).peek(key)?,
            None => self.peek(key)?,
        };
        Ok(found.map(|document| encoded(&*document).content))
    }

    fn put_if_revision(
        &self,
        key: &str,
        draft: Draft,
        at: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let document = document::<D>(draft);
        let info = match at {
            Some(at) => self.at(at).info(key)?,
            None => self.info(key)?,
        };
        let Some(revision) = info.and_then(|info| info.revision) else { return Ok(false) };
        match at {
            Some(at) => self.at(at).put_if_revision(key, document, revision),
            None => self.put_if_revision(key, document, revision),
        }
    }

    fn load(&self, key: &str, draft: Draft, at: Option<Timestamp>) -> Result<String, Error> {
        let load = || document::<D>(draft);
        let loaded = match at {
            Some(at) => self.at(at).get_or_insert_with(key, load)?,
            None => self.get_or_insert_with(key, load)?,
        };
        Ok(encoded(&*loaded).content)
    }

    fn load_in_vain(&self, key: &str, at: Option<Timestamp>) -> Result<Option<String>, Error> {
        let load = || Err::<D, ()>(());
        let loaded = match at {
            Some(at) => self.at(at).try_get_or_insert_with(key, load),
            None => self.try_get_or_insert_with(key, load),
        };
        answer(loaded)
    }

    fn refresh(
        &self,
        key: &str,
        draft: Option<Draft>,
        at: Option<Timestamp>,
    ) -> Result<Option<String>, Error> {
        let load = move || draft.map(document::<D>).ok_or(());
        answer(match at {
            Some(at) => self.at(at).try_get_or_refresh_with(key, load),
            None => self.try_get_or_refresh_with(key, load),
        })
    }

    fn wait_for_refreshes(&self, ended: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.stats().refreshes + self.stats().refresh_failures < ended {
            assert!(Instant::now() < deadline, "the cache does not reload what the model does");
            thread::yield_now();
        }
    }

    fn put_if_absent(&self, key: &str, draft: Draft, at: Option<Timestamp>) -> Result<bool, Error> {
        let document = document::<D>(draft);
        match at {
            Some(at) => self.at(at).put_if_absent(key, document),
            None => self.put_if_absent(key, document),
        }
    }

    fn replace(&self, key: &str, draft: Draft, at: Option<Timestamp>) -> Result<bool, Error> {
        let update = |there: Option<&D>| there.map(|_| document::<D>(draft));
        let stored = match at {
            Some(at) => self.at(at).update_with(key, update)?,
            None => self.update_with(key, update)?,
        };
        Ok(stored.is_some())
    }

    fn take(&self, key: &str, at: Option<Timestamp>) -> Result<Option<String>, Error> {
        let taken = match at {
            Some(at) => self.at(at).take(key)?,
            None => self.take(key)?,
        };
        Ok(taken.map(|document| encoded(&*document).content))
    }

    fn delete(&self, key: &str, at: Option<Timestamp>) -> Result<bool, Error> {
        match at {
            Some(at) => self.at(at).delete(key),
            None => self.delete(key),
        }
    }

    fn get_many(
        &self,
        keys: &[&str],
        at: Option<Timestamp>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let found = match at {
            Some(at) => self.at(at).get_many(keys)?,
            None => self.get_many(keys)?,
        };
        Ok(found.into_iter().map(|(key, document)| (key, encoded(&*document).content)).collect())
    }

    fn put_many(&self, pairs: &[(&str, Draft)], at: Option<Timestamp>) -> Result<(), Error> {
        let pairs = pairs.iter().map(|(key, draft)| (*key, document::<D>(*draft)));
        match at {
            Some(at) => self.at(at).put_many(pairs),
            None => self.put_many(pairs),
        }
    }

    fn delete_many(&self, keys: &[&str], at: Option<Timestamp>) -> Result<usize, Error> {
        match at {
            Some(at) => self.at(at).delete_many(keys),
            None => self.delete_many(keys),
        }
    }

    fn look(&self, key: &str, at: Option<Timestamp>) -> Result<Look, Error> {
        let (contains, tier, info) = match at {
            Some(at) => {
                let view = self.at(at);
                (view.contains_key(key)?, view.tier_of(key)?, view.info(key)?)
            }
            None => (self.contains_key(key)?, self.tier_of(key)?, self.info(key)?),
        };
        if let Some(info) = &info {
            assert_eq!(info.key, key);
        }
        Ok(Look { contains, tier, info: info.map(Info::from) })
    }

    fn scan(&self, prefix: &str, at: Option<Timestamp>) -> Result<Vec<(String, Info)>, Error> {
        let scan = at.map_or_else(|| self.scan(prefix), |at| self.at(at).scan(prefix));
        scan.map(|entry| entry.map(|(key, info)| (key, Info::from(info)))).collect()
    }

    fn values(&self, prefix: &str, at: Option<Timestamp>) -> Result<Vec<(String, String)>, Error> {
        let scan = at.map_or_else(|| self.scan(prefix), |at| self.at(at).scan(prefix));
        let content = |document: &D| encoded(document).content;
        scan.values().map(|entry| entry.map(|(key, value)| (key, content(&value)))).collect()
    }

    fn delete_tag(&self, tag: &str, at: Option<Timestamp>) -> Result<u64, Error> {
        match at {
            Some(at) => self.at(at).delete_tag(tag),
            None => self.delete_tag(tag),
        }
    }

    fn delete_prefix(&self, prefix: &str, at: Option<Timestamp>) -> Result<u64, Error> {
        match at {
            Some(at) => self.at(at).delete_prefix(prefix),
            None => self.delete_prefix(prefix),
        }
    }

    fn retain_from(&self, size: u64, at: Option<Timestamp>) -> Result<u64, Error> {
        let keep = |_: &str, info: &EntryInfo| info.size >= size;
        match at {
            Some(at) => self.at(at).retain(keep),
            None => self.retain(keep),
        }
    }

    fn clear(&self) -> Result<(), Error> {
        self.clear()
    }

    fn evict_memory(&self) {
        self.evict_memory();
    }

    fn run_maintenance(&self) -> Result<(), Error> {
        self.run_maintenance().map(drop)
    }

    fn purge_outdated(&self) -> Result<usize, Error> {
        self.purge_outdated()
    }

    fn repair(&self) -> Result<(u64, u64), Error> {
        let repaired = self.repair()?;
        assert!(!repaired.totals_changed, "nobody damages totals");
        Ok((repaired.kept, repaired.removed))
    }

    fn flush(&self) -> Result<(), Error> {
        self.flush()
    }

    fn close(&self) -> Result<(), Error> {
        self.close()
    }

    fn len(&self) -> Result<u64, Error> {
        self.len()
    }

    fn is_empty(&self) -> Result<bool, Error> {
        self.is_empty()
    }

    fn total_size(&self) -> Result<u64, Error> {
        self.total_size()
    }

    fn stats(&self) -> Stats {
        self.stats()
    }

    fn verify(&self) -> Result<Report, Error> {
        self.verify()
    }

    fn value_of(&self, draft: Draft) -> Value {
        encoded(&document::<D>(draft))
    }
}

fn document<D: Document>(draft: Draft) -> D {
    D::new(draft.id, draft.padding)
}

/// What a loader that may fail was answered with.
fn answer<D: Document>(loaded: Result<Arc<D>, LoadError<()>>) -> Result<Option<String>, Error> {
    match loaded {
        Ok(document) => Ok(Some(encoded(&*document).content)),
        Err(LoadError::Cache(error)) => Err(error),
        Err(_) => Ok(None),
    }
}
