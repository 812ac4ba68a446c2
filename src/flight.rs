//! Loads under way. Whoever misses a key that another loads waits for that one's outcome.

#[cfg(feature = "future")]
mod errand;
#[cfg(all(test, shuttle))]
mod models;
mod waiting;

#[cfg(feature = "future")]
pub(crate) use errand::{Awaits, Errand};

use crate::entry::Tags;
use crate::error::{Error, ErrorKind};
use crate::gate::Gate;
use crate::key::Key;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use crate::sync::{self, Mutex, Stack, new_number};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use waiting::{Asker, Waiting, is_done_by};

/// The loads of one cache, at most one for each key.
#[derive(Debug)]
pub(crate) struct Flights<T> {
    under_way: Mutex<HashMap<Key, Arc<Flight<T>>>>,
    /// How many, so that a write asks for no lock while nobody loads.
    count: AtomicUsize,
}

/// One load, and those who wait for it.
#[derive(Debug)]
struct Flight<T> {
    /// Which one it is. What is known of it may be known for longer than it is there.
    itself: Asker,
    landed: Gate,
    /// Whether it is to replace what may be answered with meanwhile.
    reloads: bool,
    /// Set before it has landed, unless it was given up.
    outcome: OnceLock<Outcome<T>>,
    overtaken: Overtaken,
    /// See [`Lead::hold`].
    held: Mutex<Held>,
    /// See [`Lead::hold_up`].
    held_up: AtomicBool,
    /// Of what is going to be stored.
    tags: Tags,
}

/// What a load keeps from others while it may be stored.
type Held = Option<Box<dyn fmt::Debug + Send>>;

/// Whether somebody wrote the key since the load began. Then nothing of the load is stored that was not on its
/// way already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overtaken(Arc<AtomicU8>);

/// The bits of [`Overtaken`].
const OVERTAKEN: u8 = 1;
const STORING: u8 = 2;

/// How a load ended.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// There was no need to load.
    Found,
    Loaded(Arc<T>),
    /// It failed, and this had expired.
    Stale(Arc<T>),
    /// The loader's error, of whatever type it is.
    Failed(Arc<dyn Any + Send + Sync>),
}

/// What whoever missed a key is to do, or to answer.
#[derive(Debug)]
pub(crate) enum Boarding<T, E> {
    Lead(Lead<T>),
    /// Another one found it, perhaps before it went.
    Found,
    /// Another one loaded this.
    Loaded(Arc<T>),
    /// Another one's loader failed, and this had expired.
    Stale(Arc<T>),
    /// Another one's loader failed.
    Failed(Arc<E>),
}

/// A load that was under way when somebody asked for its key.
struct Joined<T> {
    flight: Arc<Flight<T>>,
    /// Whether that had been overtaken by then, and was being stored: its end is to be waited for, and not the answer.
    is_late: bool,
}

/// The right and duty to load a key. Dropped without an outcome it goes to one of those who wait. Whoever
/// stores what was loaded keeps it meanwhile, so that a write of the key knows of that.
#[derive(Debug)]
pub(crate) struct Lead<T> {
    flights: Arc<Flights<T>>,
    key: Key,
    flight: Arc<Flight<T>>,
}

/// What a load is known by where something is done for it: whatever that runs on its way may ask the cache for
/// anything but its key.
#[derive(Debug)]
pub(crate) struct Loading<T>(Arc<Flight<T>>);

/// See [`Lead::hold_up`].
#[derive(Debug)]
pub(crate) struct HeldUp<'l>(&'l AtomicBool);

sync::thread_local! {
    /// The loads for which something is done on this thread.
    static LOADING: Stack<Asker> = const { Stack::new() };
}

impl Overtaken {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst) & OVERTAKEN != 0
    }

    /// To be asked as late as can be before it is stored: says whether it still counts. If it does, the load keeps
    /// its place until it has ended, whatever overtakes it, and no other load of the key begins: that would not find
    /// what this one stores, and be the answer of who has seen it.
    pub fn begin_storing(&self) -> bool {
        self.0.fetch_or(STORING, Ordering::SeqCst) & OVERTAKEN == 0
    }

    /// Says whether it is being stored.
    fn set(&self) -> bool {
        self.0.fetch_or(OVERTAKEN, Ordering::SeqCst) & STORING != 0
    }
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { under_way: Mutex::default(), count: AtomicUsize::new(0) }
    }
}

impl<T> Flights<T> {
    /// Waits for the load of `key` that is under way, or begins one, of an object with `tags`. Whoever expects
    /// another type of errors than the one that comes does as if that load had been given up.
    pub async fn board<E: Any + Send + Sync>(
        self: &Arc<Self>,
        key: &str,
        tags: &Tags,
    ) -> Result<Boarding<T, E>, Error> {
        loop {
            let joined = match self.join(key, tags) {
                Ok(lead) => return Ok(Boarding::Lead(lead)),
                Err(joined) => joined,
            };
            if let Some(boarding) = joined.wait(key).await? {
                return Ok(boarding);
            }
        }
    }

    /// The same, but does not wait for a reload, nor for the load that it meets if by then `must_look`: `None` if so.
    /// (Those that it meets after that one have begun since.)
    pub async fn board_unless<E: Any + Send + Sync>(
        self: &Arc<Self>,
        key: &str,
        tags: &Tags,
        must_look: impl Fn() -> bool,
    ) -> Result<Option<Boarding<T, E>>, Error> {
        let mut asked = false;
        loop {
            let joined = match self.join(key, tags) {
                Ok(lead) => return Ok(Some(Boarding::Lead(lead))),
                Err(joined) => joined,
            };
            if !joined.flight.is_led_here() {
                if joined.flight.reloads || !asked && must_look() {
                    return Ok(None);
                }
                // What there was to look for may have ended since this flight was found, and been seen before: then
                // this flight has left its place, or is known to be overtaken.
                if !std::mem::replace(&mut asked, true) {
                    continue;
                }
            }
            if let Some(boarding) = joined.wait(key).await? {
                return Ok(Some(boarding));
            }
        }
    }

    /// Begins a reload of `key`, unless a load of it is under way.
    pub fn begin_reload(self: &Arc<Self>, key: &str, tags: &Tags) -> Option<Lead<T>> {
        let mut under_way = self.under_way.lock();
        if under_way.contains_key(key) {
            return None;
        }
        let (key, flight) = (Key::from(key), Arc::new(Flight::new(tags.clone(), true)));
        under_way.insert(key.clone(), Arc::clone(&flight));
        self.count.store(under_way.len(), Ordering::SeqCst);
        Some(Lead { flights: Arc::clone(self), key, flight })
    }

    /// Begins the load of `key`, or says which one is under way.
    fn join(self: &Arc<Self>, key: &str, tags: &Tags) -> Result<Lead<T>, Joined<T>> {
        let mut under_way = self.under_way.lock();
        if let Some(flight) = under_way.get(key) {
            return Err(Joined { flight: Arc::clone(flight), is_late: flight.overtaken.is_set() });
        }
        let (key, flight) = (Key::from(key), Arc::new(Flight::new(tags.clone(), false)));
        under_way.insert(key.clone(), Arc::clone(&flight));
        self.count.store(under_way.len(), Ordering::SeqCst);
        Ok(Lead { flights: Arc::clone(self), key, flight })
    }

    /// Those who wait for the loads of `keys` get what they wait for; whoever comes later does not, and
    /// nothing of it is stored that was not on its way already. A write calls this before it commits, so that
    /// no load that began before it is stored after it, and again before it can be seen where no mark of it
    /// lies, so that whoever has seen it is answered by no load that had not.
    pub fn overtake<'k>(&self, keys: impl IntoIterator<Item = &'k str>) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        // Dropped after the lock, here as below.
        let mut held = Vec::new();
        let mut under_way = self.under_way.lock();
        for key in keys {
            let Some(flight) = under_way.get(key) else { continue };
            if !flight.overtake(&mut held) {
                under_way.remove(key);
            }
        }
        self.count.store(under_way.len(), Ordering::SeqCst);
    }

    /// The same for all keys that begin with `prefix`.
    pub fn overtake_group(&self, prefix: &str) {
        self.overtake_those(|key, _| key.starts_with(prefix));
    }

    /// The same for all loads of objects that are going to have `tag`.
    pub fn overtake_tagged(&self, tag: &str) {
        self.overtake_those(|_, flight| flight.tags.contains(tag));
    }

    fn overtake_those(&self, among: impl Fn(&Key, &Flight<T>) -> bool) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut held = Vec::new();
        let mut under_way = self.under_way.lock();
        under_way.retain(|key, flight| !among(key, flight) || flight.overtake(&mut held));
        self.count.store(under_way.len(), Ordering::SeqCst);
    }

    /// The same for all keys.
    pub fn overtake_all(&self) {
        self.overtake_those(|_, _| true);
    }
}

impl<T> Flight<T> {
    fn new(tags: Tags, reloads: bool) -> Self {
        let (landed, outcome, overtaken, held) = Default::default();
        let (itself, held_up) = (Asker::Load(new_number()), AtomicBool::new(false));
        Self { itself, landed, reloads, outcome, overtaken, held, held_up, tags }
    }

    /// Says whether it keeps its place, because it is being stored. What it held is to be dropped without any lock.
    fn overtake(&self, held: &mut Vec<Box<dyn fmt::Debug + Send>>) -> bool {
        let stays = self.overtaken.set();
        held.extend(self.held.lock().take());
        stays
    }

    /// See [`Lead::run`].
    fn run<W: Future>(&self, work: W) -> Running<W> {
        Running { flight: self.itself, work: Some(Box::pin(work)) }
    }

    /// Whether something is done for it on this thread, and asks.
    fn is_led_here(&self) -> bool {
        LOADING.with(|all| all.look(|loads| is_done_by(self.itself, loads)))
    }
}

impl<T> Joined<T> {
    /// Waits for the load's end. `None` if it has come to nothing for whoever expects such errors, or comes late.
    async fn wait<E: Any + Send + Sync>(&self, key: &str) -> Result<Option<Boarding<T, E>>, Error> {
        let Self { flight, is_late } = self;
        let begin = || LOADING.with(|all| all.look(|loads| Waiting::begin(loads, flight.itself)));
        let waiting = begin().ok_or_else(|| reentrant(key))?;
        flight.landed.opened().await;
        drop(waiting);
        Ok(match flight.outcome.get().filter(|_| !is_late) {
            Some(Outcome::Found) => Some(Boarding::Found),
            Some(Outcome::Loaded(value)) => Some(Boarding::Loaded(Arc::clone(value))),
            Some(Outcome::Stale(value)) => Some(Boarding::Stale(Arc::clone(value))),
            Some(Outcome::Failed(error)) => Arc::clone(error).downcast().ok().map(Boarding::Failed),
            None => None,
        })
    }
}

impl<T> Lead<T> {
    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn overtaken(&self) -> &Overtaken {
        &self.flight.overtaken
    }

    /// Keeps `what` from others until the load has ended, or is overtaken: then at most others may load.
    pub fn hold(&self, what: impl fmt::Debug + Send + 'static) {
        let what: Held = Some(Box::new(what));
        let mut held = self.flight.held.lock();
        if !self.overtaken().is_set() {
            *held = what;
        }
    }

    /// Whether there is anything that it holds.
    pub fn holds(&self) -> bool {
        self.flight.held.lock().is_some()
    }

    /// While it lives, another process keeps this load from going on.
    pub fn hold_up(&self) -> HeldUp<'_> {
        self.flight.held_up.store(true, Ordering::Relaxed);
        HeldUp(&self.flight.held_up)
    }

    /// While it lives, the loads that are done here wait for this one, whoever goes on with it: what it has others do
    /// asks from elsewhere.
    pub fn awaited(&self) -> impl Sized + use<T> {
        // It is not known to anybody yet, and so waits for nothing.
        LOADING.with(|all| all.look(|loads| Waiting::begin(loads, self.flight.itself)))
    }

    pub fn loading(&self) -> Loading<T> {
        Loading(Arc::clone(&self.flight))
    }

    /// Does for the load what those who wait for it wait for, such as its loader.
    pub fn run<R>(&self, work: impl Future<Output = R>) -> impl Future<Output = R> {
        self.flight.run(work)
    }

    /// Begins a reload in the place of this load, which ends. Nobody can board in between; `None` if a
    /// write has overtaken it.
    pub fn relay(&self) -> Option<Self> {
        let mut under_way = self.flights.under_way.lock();
        let present = under_way.get_mut(&self.key).filter(|it| Arc::ptr_eq(it, &self.flight))?;
        let flight = Arc::new(Flight::new(self.flight.tags.clone(), true));
        *present = Arc::clone(&flight);
        Some(Self { flights: Arc::clone(&self.flights), key: self.key.clone(), flight })
    }

    /// Ends the load.
    pub fn land(self, outcome: Outcome<T>) {
        // Nobody else ends it.
        let _set = self.flight.outcome.set(outcome);
    }
}

#[cfg(feature = "future")]
impl<T> Clone for Loading<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Loading<T> {
    /// See [`Lead::run`].
    pub fn run<R>(&self, work: impl Future<Output = R>) -> impl Future<Output = R> {
        self.0.run(work)
    }

    /// See [`Lead::hold_up`].
    #[cfg(feature = "future")]
    pub fn is_held_up(&self) -> bool {
        self.0.held_up.load(Ordering::Relaxed)
    }
}

impl Drop for HeldUp<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl<T> Drop for Lead<T> {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way.lock();
        if under_way.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            under_way.remove(&self.key);
            self.flights.count.store(under_way.len(), Ordering::SeqCst);
        }
        drop(under_way);
        self.flight.landed.open();
        let held = self.flight.held.lock().take();
        drop(held);
    }
}

/// Something that is done for a load, and what is dropped when that is given up. The work is boxed: a loader may load,
/// and so on, on one stack.
struct Running<W> {
    flight: Asker,
    /// Until this is dropped.
    work: Option<Pin<Box<W>>>,
}

impl<W: Future> Future for Running<W> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<W::Output> {
        let _here = Here::enter(self.flight);
        self.work.as_mut().map_or(Poll::Pending, |work| work.as_mut().poll(context))
    }
}

impl<W> Drop for Running<W> {
    fn drop(&mut self) {
        let _here = Here::enter(self.flight);
        self.work = None;
    }
}

/// While it lives, this thread does something for a load.
struct Here;

impl Here {
    fn enter(asker: Asker) -> Self {
        LOADING.with(|loading| loading.push(asker));
        Self
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        LOADING.with(Stack::pop);
    }
}

fn reentrant(key: &str) -> Error {
    let message = "the loader of this key asks for the key itself, or for one whose loader waits for this one; load it \
                   from elsewhere, or look with get";
    Error::new(ErrorKind::Reentrant, message).with_key(key)
}
