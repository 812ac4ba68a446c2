//! Loads whose callers do not wait to their end.
//!
//! Where a timeout is set, the loader and what stores its object are one job, which asks nothing of its caller:
//! whoever has waited long enough drops the job's answer, as whoever waits for another one's load drops its
//! place in that flight. Both answer with what is there then, if it is good enough.

use super::Engine;
use super::events::event;
use super::judge::Bad;
use super::load::{Begun, Made, Storing};
use super::measure::traced;
use super::place::{Here, Place};
use super::refresh::There;
use crate::cacheable::Cacheable;
use crate::error::{Error, ErrorKind, LoadError};
use crate::flight::Loading;
use crate::key::{self, Key};
use crate::options::Timeouts;
use crate::pool::Pool;
use crate::store::Store;
use crate::time::Timestamp;
use futures_timer::Delay;
use std::any::Any;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Who waits, and since when.
struct Caller<'k> {
    key: &'k str,
    /// The time of its get.
    now: Timestamp,
    began: Instant,
}

/// What has come of waiting.
enum Waited<R, T> {
    Done(R),
    TooLong(Result<Arc<T>, Error>),
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Whether callers that can leave their loaders wait for so long only.
    pub fn has_timeouts(&self) -> bool {
        self.options.timeouts.are_set()
    }

    /// Answers what [`hit`](Self::hit) did not, as [`load_or_refresh`](Self::load_or_refresh) does, but in time.
    /// The `pool` has the loader, which does not keep the cache open.
    pub async fn load_in_time<V, E, F>(
        self: &Arc<Self>,
        (place, pool): (&impl Place, &Arc<Pool>),
        key: &str,
        now: Timestamp,
        storing: Storing,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<T>, LoadError<E>>
    where
        V: Into<Arc<T>> + 'static,
        E: Any + Send + Sync,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        key::check(key)?;
        let caller = Caller { key, now, began: Instant::now() };
        let uses = self.uses_of_refresh();
        let board = self.board(place, key, now, &storing, uses);
        let lead = match self.wait(place, &caller, None, board).await {
            Waited::Done(begun) => match begun? {
                Begun::Answer(answer) => return answer,
                Begun::Lead(lead) => lead,
            },
            Waited::TooLong(instead) => {
                self.counters.misses.add(1);
                return Ok(instead?);
            }
        };
        let _awaited = lead.awaited();
        let loading = lead.loading();
        let look = self.look_or_reload(place, (lead, uses), now, storing, load);
        let looked = match self.wait(place, &caller, Some(&loading), look).await {
            Waited::Done(looked) => looked?,
            Waited::TooLong(instead) => {
                self.counters.misses.add(1);
                return Ok(instead?);
            }
        };
        let (kept, lead, missing, storing, load) = match looked {
            There::Value(value) => return Ok(value),
            There::Nothing(nothing) => nothing,
        };
        #[expect(clippy::async_yields_async, reason = "the caller may not wait for it")]
        let loader = lead.run(async { load() }).await;
        let engine = Arc::clone(self);
        let job = pool.run(move || async move {
            let loader = async move || loader.await.map(Into::<Arc<T>>::into);
            engine.make(&Here, kept, (lead, missing), storing, loader).await
        });
        match self.wait(place, &caller, None, job).await {
            Waited::Done(made) => made.map(|made| self.answer(made)),
            Waited::TooLong(instead) => Ok(instead?),
        }
    }

    /// Waits for `work`, unless that takes too long. Where it is to begin `loading`, nobody leaves it for what is stale
    /// but while another process loads: nobody would load, and what is stale takes a look as well.
    async fn wait<R>(
        self: &Arc<Self>,
        place: &impl Place,
        caller: &Caller<'_>,
        loading: Option<&Loading<T>>,
        work: impl Future<Output = R>,
    ) -> Waited<R, T> {
        let mut work = pin!(work);
        let Timeouts { soft, hard } = self.options.timeouts;
        if let Some(soft) = soft {
            let may_leave = || loading.is_none_or(Loading::is_held_up);
            if let Some(done) = done_by(work.as_mut(), caller.began, soft, may_leave).await {
                return Waited::Done(done);
            }
            if let Some(value) = self.instead(place, caller, loading).await {
                return Waited::TooLong(Ok(value));
            }
        }
        let Some(hard) = hard else { return Waited::Done(work.await) };
        if let Some(done) = done_by(work, caller.began, hard, || true).await {
            return Waited::Done(done);
        }
        let instead = self.instead(place, caller, loading).await;
        Waited::TooLong(instead.ok_or_else(|| {
            self.counters.load_timeouts.add(1);
            timed_out(caller.key, hard)
        }))
    }

    /// The answer to a caller that has waited long enough. What there is cannot be had from the one who loads,
    /// who may be another one. It is a part of `loading`, which waits meanwhile.
    async fn instead(
        self: &Arc<Self>,
        place: &impl Place,
        caller: &Caller<'_>,
        loading: Option<&Loading<T>>,
    ) -> Option<Arc<T>> {
        let (engine, key, now) = (Arc::clone(self), Key::from(caller.key), caller.now);
        let look = async move {
            let span = engine.span("look_instead", Some(&key));
            traced!(span, engine.look_instead(&key, now)).ok().flatten()
        };
        let looked = match loading.cloned() {
            Some(loading) => place.run(async move { loading.run(look).await }).await,
            None => place.run(look).await,
        };
        let found = looked?;
        self.counters.load_timeouts.add(1);
        event!(caller.key, Disk, "answered before its load");
        Some(self.answer(found))
    }

    /// The object that somebody put meanwhile, or the one that would do if the loader failed. Touches nothing.
    async fn look_instead(&self, key: &str, now: Timestamp) -> Result<Option<Made<T>>, Error> {
        if let Some(value) = self.peek(key, now).await? {
            return Ok(Some(Made { value, is_stale: false }));
        }
        let _operation = self.lifecycle.enter()?;
        let seen = self.memory.begin_look(key);
        let Some(row) = self.store.read(key).await? else { return Ok(None) };
        let judged = self.judge_meta(&row.meta, || self.recency(key, &seen, &row.meta), now);
        // What a put that waits hides is not there.
        let is_stale = matches!(judged, Err(Bad::Stale { overdue })
            if overdue <= self.options.grace.fail_safe && self.memory.unwritten(key).is_none());
        let stale = is_stale.then(|| self.read_stale(key, &row)).flatten();
        Ok(stale.map(|value| Made { value, is_stale: true }))
    }
}

/// A timer for longer is never.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What `work` comes to, unless that takes longer than `limit`, and it `may_leave`.
async fn done_by<R>(
    mut work: Pin<&mut impl Future<Output = R>>,
    began: Instant,
    limit: Duration,
    may_leave: impl Fn() -> bool,
) -> Option<R> {
    // Most work that is done at once needs no timer.
    let mut delay = None;
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        if !may_leave() {
            return Poll::Pending;
        }
        let left = || Delay::new(limit.min(LONGEST).saturating_sub(began.elapsed()));
        Pin::new(delay.get_or_insert_with(left)).poll(context).map(|()| None)
    })
    .await
}

fn timed_out(key: &str, after: Duration) -> Error {
    let message = format!(
        "this key took longer than hard_load_timeout ({after:?}); a loader that had begun goes on, and a later call finds \
         what it makes"
    );
    Error::new(ErrorKind::TimedOut, message).with_key(key)
}
