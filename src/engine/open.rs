//! Opening a collection, and the guard that closes it.

use super::Engine;
use super::buffer::Buffer;
use super::close::Lifecycle;
use super::measure::Measures;
use super::refresh::Reloads;
use super::trust::Trust;
use crate::cacheable::Cacheable;
use crate::error::{Error, ErrorKind};
use crate::listener::Listener;
use crate::memory::Memory;
use crate::options::{Access, Durability, OnCorruption, Options};
#[cfg(feature = "future")]
use crate::pool::Pool;
use crate::stats::Counters;
use crate::store::sqlite::{CacheFile, Claimant, Known, Life, Opened, SqliteStore, Upkeep};
use crate::store::{Store, Terms, Usage};
use crate::sync::atomic::AtomicI64;
use crate::sync::{Mutex, block_on, thread};
use semver::Version;
use std::any::Any;
use std::path::Path;
#[cfg(feature = "future")]
use std::sync::OnceLock;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// What all clones of a handle share. Dropping it closes the cache; in the midst of an operation another thread does.
pub(crate) struct Guard<T: Cacheable, S: Store> {
    pub engine: Arc<Engine<T, S>>,
    /// Once there was an asynchronous handle.
    #[cfg(feature = "future")]
    pool: OnceLock<Arc<Pool>>,
}

impl<T: Cacheable, S: Store> Guard<T, S> {
    fn new(engine: Arc<Engine<T, S>>) -> Self {
        Self {
            engine,
            #[cfg(feature = "future")]
            pool: OnceLock::new(),
        }
    }

    /// The threads that do what asynchronous handles want. From now on they close the cache, too, because
    /// whoever drops the last handle may have to go on at once.
    #[cfg(feature = "future")]
    pub fn pool(&self) -> &Arc<Pool> {
        self.pool.get_or_init(Pool::new)
    }
}

impl<T: Cacheable, S: Store> Drop for Guard<T, S> {
    fn drop(&mut self) {
        let engine = Arc::clone(&self.engine);
        let close = async move || engine.close_unasked().await;
        #[cfg(feature = "future")]
        if let Some(pool) = self.pool.get() {
            return drop(pool.run(close));
        }
        if !self.engine.is_called_here() {
            return block_on(close());
        }
        // Here it would wait for itself.
        let named = thread::Builder::new().name("disk-backed-cache close".to_owned());
        if let Err(error) = named.spawn(move || block_on(close())) {
            tracing::warn!(%error, "there is no thread to close the cache, which is not closed");
        }
    }
}

/// How long a thread that finds a file damaged waits for others that have it open.
const REPLACED_BY_THEN: Duration = Duration::from_secs(1);

/// The background thread runs at least this often.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);
/// And at most this often.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// The background thread runs at least twice in the time by which stored recency may lag.
pub(super) fn interval(recency_lag: Duration) -> Duration {
    (recency_lag / 2).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

impl<T: Cacheable> Guard<T, SqliteStore> {
    /// Opens the collection in the file at `path`, in an empty one if that proves damaged and the options
    /// say so.
    pub fn open_at(
        path: &Path,
        options: Options,
        listener: Option<Listener<T>>,
    ) -> Result<Arc<Self>, Error> {
        let deadline = Instant::now() + REPLACED_BY_THEN;
        loop {
            let file = CacheFile::open_as(path, options.access, options.on_corruption)?;
            let may_move = options.on_corruption == OnCorruption::SetAside;
            let damage = match Self::open(&file, options.clone(), listener.clone()) {
                Ok(opened) => return Ok(opened),
                Err(error) if may_move && error.is_corrupt() => error,
                Err(error) => {
                    file.abandon();
                    return Err(error);
                }
            };
            match file.replace(damage) {
                Ok(empty) => return Self::open(&empty, options, listener),
                // Another thread has found it damaged too: one of them replaces it, when the others have
                // let go.
                Err(error) if error.is_corrupt() && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the collection that `options` name, or joins whoever has it open in this process. One that
    /// still closes has puts to commit, which must not come after those that are to follow.
    pub fn open(
        file: &CacheFile,
        options: Options,
        listener: Option<Listener<T>>,
    ) -> Result<Arc<Self>, Error> {
        file.check(options.access)?;
        let (type_name, version) = (T::type_name(), T::schema_version());
        // Dropped after the lock: it may turn out to be the last handle, whose drop closes a cache, or the last of
        // what has a listener and a clock, which are anybody's.
        let (other, life, engine, _told_last);
        let mut open = file.collections();
        let known = open.get(&options.collection);
        life = known.and_then(|known| known.life.upgrade());
        other = known.and_then(|known| known.handle.upgrade());
        if let Some(other) = other.as_ref().filter(|other| !other.is_closed()) {
            return join(Arc::clone(other), file, &options, listener.is_some());
        }
        if let Some(life) = life.as_ref().filter(|life| !life.is_over()) {
            drop(open);
            life.end()?;
            return Self::open(file, options, listener);
        }
        let terms = Terms {
            limits: options.disk,
            durability: options.durability.of_commits(),
            busy_timeout: options.busy_timeout,
        };
        let claimant =
            Claimant { collection: &options.collection, type_name: &type_name, version: &version };
        let store = SqliteStore::open(file, claimant, &terms, options.staleness)?;
        let measures = Measures::new(file.path(), &options.collection);
        engine = Arc::new_cyclic(|this| Engine {
            listener,
            measures,
            ..Engine::new(store, options, terms, version, this.clone())
        });
        engine.renew_trust();
        let changes = engine.options.access != Access::ReadOnly;
        // User code does not run while the file's collections are locked.
        let trimmed;
        (trimmed, _told_last) = block_on(engine.keeping(engine.trim()));
        trimmed?;
        let has_timers = engine.buffer.is_some() || engine.options.load_lease.is_some();
        if has_timers || engine.options.background_maintenance {
            file.start_background()?;
        }
        if engine.options.background_maintenance && changes {
            let ward: Arc<dyn Upkeep> = Arc::clone(&engine) as _;
            file.look_after(Arc::downgrade(&ward), interval(engine.options.recency_lag))?;
        }
        let collection = engine.options.collection.clone();
        let guard = Arc::new(Self::new(engine));
        let (handle, life) = (Arc::downgrade(&guard), Arc::downgrade(&guard.engine));
        open.insert(collection, Known { handle, life });
        drop(open);
        guard.engine.measures.begin();
        Ok(guard)
    }
}

impl<T: Cacheable, S: Store> Opened for Guard<T, S> {
    fn is_closed(&self) -> bool {
        self.engine.is_closed()
    }
}

impl<T: Cacheable, S: Store> Life for Engine<T, S> {
    fn is_over(&self) -> bool {
        self.is_released()
    }

    fn end(&self) -> Result<(), Error> {
        if self.is_called_here() {
            let message = "the collection still closes, which waits for whoever opens it: its listener, or code of its \
                           type; have another thread open it, and return";
            return Err(Error::new(ErrorKind::Reentrant, message));
        }
        block_on(self.close_unasked());
        Ok(())
    }
}

/// The guard of a collection that is open already.
fn join<T: Cacheable>(
    other: Arc<dyn Opened>,
    file: &CacheFile,
    options: &Options,
    listens: bool,
) -> Result<Arc<Guard<T, SqliteStore>>, Error> {
    let conflict = |what: &str| {
        let message = format!(
            "collection {:?} is open in this process with {what}; close that handle first, or clone it",
            options.collection
        );
        let error = Error::new(ErrorKind::Conflict, message);
        Err(match file.path() {
            Some(path) => error.with_path(path),
            None => error,
        })
    };
    let other: Arc<dyn Any + Send + Sync> = other;
    let Ok(guard) = other.downcast::<Guard<T, SqliteStore>>() else {
        return conflict("another Rust type");
    };
    let differences = guard.engine.options.differences(options);
    if !differences.is_empty() {
        return conflict(&format!("other options ({})", differences.join(", ")));
    }
    // Nobody can tell whether two of them do the same.
    if listens || guard.engine.listener.is_some() {
        return conflict("an eviction listener, or is to have one");
    }
    Ok(guard)
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    pub(super) fn new(
        store: S,
        options: Options,
        terms: Terms,
        version: Version,
        this: Weak<Self>,
    ) -> Self {
        let buffer = match options.durability {
            Durability::Buffered { max_delay, max_bytes } => {
                Some(Buffer::new(max_delay, max_bytes))
            }
            Durability::Committed | Durability::Synced => None,
        };
        Self {
            memory: Memory::new(&options),
            store,
            terms,
            buffer,
            this,
            version_text: version.to_string().into(),
            version,
            counters: Counters::default(),
            usage: Mutex::new(Usage::default()),
            lifecycle: Lifecycle::default(),
            flights: Arc::default(),
            listener: None,
            reloads: Reloads::default(),
            measures: Measures::new(None, &options.collection),
            trust: Trust::default(),
            written_back: Mutex::new(Instant::now()),
            cursor: AtomicI64::new(i64::MIN),
            options,
        }
    }

    /// Evicts what is above the limits, in bounded batches.
    pub(super) async fn trim(&self) -> Result<(), Error> {
        let usage = self.store.usage().await?;
        self.note_usage(usage);
        if self.writable().is_err() || self.options.disk.hold(usage.entries, usage.bytes) {
            return Ok(());
        }
        while self.write(Vec::new(), self.terms).await?.excess {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_background_thread_runs_twice_in_the_time_that_recency_may_lag() {
        let seconds = |lag: f64| interval(Duration::from_secs_f64(lag)).as_secs_f64();
        assert_eq!([6.0, 60.0, 0.001].map(seconds), [3.0, 10.0, 0.01]);
    }
}
