//! Threads for work that may block: few for each cache, each of which does much before it rests.
//!
//! Work is a future that is owned here from its beginning to its end, whatever becomes of whoever wants its
//! result. It is polled by one thread after the other. If it has to wait for other work it is put aside and
//! keeps no thread; so a thousand writers join the line for a commit at once, and one thread commits for
//! all of them. The threads come from a reserve of the process (`sync/reserve.rs`) and go back to it.

use crate::sync::{self, Crew, Mutex, Reserve, drop_unwanted};
use async_task::{Builder, Runnable, Task};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;

/// The work of one cache, and how many threads do it.
#[derive(Debug)]
pub(crate) struct Pool {
    queue: Mutex<Queue>,
    /// At most so many threads, not counting those that wait.
    most: usize,
    reserve: Arc<Reserve>,
}

#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<Runnable>,
    threads: usize,
}

/// As many threads as can run at once, but so few that their connections do not keep too many pages, and
/// so many that a few slow reads keep nobody waiting.
const THREADS: std::ops::RangeInclusive<usize> = 4..=16;

impl Queue {
    /// Counts another thread in, if there is work for one.
    fn takes_another(&mut self, most: usize) -> bool {
        let takes = self.threads < most && !self.ready.is_empty();
        self.threads += usize::from(takes);
        takes
    }
}

impl Pool {
    pub fn new() -> Arc<Self> {
        let at_once = thread::available_parallelism().map_or(1, usize::from);
        let most = at_once.clamp(*THREADS.start(), *THREADS.end());
        Self::of(most, Reserve::of_the_process())
    }

    fn of(most: usize, reserve: Arc<Reserve>) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), most, reserve })
    }

    /// Has `work` done, also if the answer is dropped. A panic in it goes on in whoever awaits the answer.
    pub fn run<R, F>(self: &Arc<Self>, work: impl FnOnce() -> F + Send + 'static) -> Job<R>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let work = async move { Output(Some(caught(async move { work().await }).await)) };
        let work = sync::as_task(work);
        let pool = Arc::clone(self);
        // What was begun comes before what was not: others wait for it, or share its commit.
        let go_on = move |work| pool.push(|ready| ready.push_front(work));
        let (begin, task) = Builder::new().propagate_panic(true).spawn(|()| work, go_on);
        self.push(|ready| ready.push_back(begin));
        Job { task: Some(task), pool: Arc::clone(self) }
    }

    fn push(self: &Arc<Self>, push: impl FnOnce(&mut VecDeque<Runnable>)) {
        let mut queue = self.queue.lock();
        push(&mut queue.ready);
        let takes = queue.takes_another(self.most);
        drop(queue);
        if takes {
            self.take_another();
        }
    }

    fn take_another(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        self.reserve.take(Box::new(move || {
            let crew = Arc::clone(&pool);
            sync::work_for(crew, || {
                while let Some(work) = pool.next() {
                    work.run();
                }
            });
        }));
    }

    /// What the thread that asks is to do next. If there is nothing, or it is one too many, it rests.
    fn next(&self) -> Option<Runnable> {
        let mut queue = self.queue.lock();
        let next = if queue.threads > self.most { None } else { queue.ready.pop_front() };
        queue.threads -= usize::from(next.is_none());
        next
    }
}

impl Crew for Pool {
    fn leave(self: Arc<Self>) {
        let mut queue = self.queue.lock();
        queue.threads -= 1;
        let takes = queue.takes_another(self.most);
        drop(queue);
        if takes {
            self.take_another();
        }
    }

    fn come_back(&self) {
        self.queue.lock().threads += 1;
    }

    fn ask_again(&self) -> bool {
        self.reserve.ask_again()
    }
}

/// The answer to some work, which is done whether anybody waits for it or not.
#[must_use = "work is done anyway, but its answer is worth a look"]
pub(crate) struct Job<R> {
    task: Option<Task<Output<R>>>,
    pool: Arc<Pool>,
}

impl<R> Future for Job<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        // There is a task until this is dropped, and a task answers once.
        let Self { task, pool } = &mut *self;
        let Some(task) = task else { return Poll::Pending };
        let answer = Pin::new(task).poll(context);
        if answer.is_pending() && pool.reserve.ask_again() {
            context.waker().wake_by_ref();
        }
        match ready!(answer).0.take() {
            Some(Ok(answer)) => Poll::Ready(answer),
            Some(Err(panic)) => resume_unwind(panic),
            None => Poll::Pending,
        }
    }
}

impl<R> Drop for Job<R> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

/// An answer, or what was thrown. One that nobody takes is dropped where a panic of its `Drop` would end the process.
struct Output<R>(Option<thread::Result<R>>);

impl<R> Drop for Output<R> {
    fn drop(&mut self) {
        if let Some(unwanted) = self.0.take() {
            drop_unwanted(unwanted);
        }
    }
}

/// Does `work`, and ends with a panic of it as with an answer.
async fn caught<R>(work: impl Future<Output = R>) -> thread::Result<R> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let poll = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        poll.map_or_else(|panic| Poll::Ready(Err(panic)), |poll| poll.map(Ok))
    })
    .await
}

#[cfg(all(test, shuttle))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Gate;
    use crate::sync::atomic::{AtomicUsize, Ordering};
    use crate::sync::block_on;
    use std::io;
    use std::panic::panic_any;
    use std::sync::Barrier;
    use std::time::Duration;

    fn pool_of(most: usize) -> Arc<Pool> {
        Pool::of(most, Reserve::of_the_process())
    }

    #[test]
    fn work_that_waits_keeps_no_thread() {
        let (pool, gate) = (pool_of(1), Arc::new(Gate::default()));
        let (waits, opens) = (Arc::clone(&gate), gate);
        let waiting = pool.run(async move || waits.opened().await);
        let opening = pool.run(async move || opens.open());
        block_on(async { (waiting.await, opening.await) });
    }

    #[test]
    fn a_thread_that_waits_is_stood_in_for() {
        let (pool, gate) = (pool_of(1), Arc::new(Gate::default()));
        for _ in 0..3 {
            let (waits, gate) = (Arc::clone(&gate), Arc::clone(&gate));
            let waiting = pool.run(async move || block_on(waits.opened()));
            let opening = pool.run(async move || gate.open());
            block_on(async { (waiting.await, opening.await) });
        }
    }

    /// A job that waited, and waited again in the midst of what it waited for, was counted out twice. Then the pool had
    /// a thread too many for good, or, if nobody else worked for it, a count below zero and no thread ever after.
    #[test]
    fn a_thread_that_waits_within_a_wait_is_counted_out_once() {
        let (pool, gates) = (pool_of(1), [(); 2].map(|()| Arc::new(Gate::default())));
        let (own, [first, second]) = (Arc::clone(&pool), gates.clone());
        let waiting = pool.run(async move || {
            block_on(async {
                first.opened().await;
                // This one has left, and the other one goes when it has done its work.
                while own.queue.lock().threads > 0 {
                    thread::yield_now();
                }
                block_on(second.opened());
            });
            // Who has opened the second one may still be there.
            for _ in 0..1_000_000 {
                if own.queue.lock().threads <= 1 {
                    break;
                }
                thread::yield_now();
            }
            own.queue.lock().threads
        });
        for gate in gates {
            block_on(pool.run(async move || gate.open()));
        }
        assert_eq!(block_on(waiting), 1);
    }

    #[test]
    fn as_many_threads_as_there_may_be_work_at_once() {
        let (pool, all) = (pool_of(3), Arc::new(Barrier::new(3)));
        let meet = |_| {
            let all = Arc::clone(&all);
            pool.run(async move || all.wait().is_leader())
        };
        let jobs: Vec<_> = (0..30).map(meet).collect();
        let leaders = jobs.into_iter().map(block_on).filter(|leads| *leads);
        assert_eq!(leaders.count(), 10);
    }

    #[test]
    fn threads_rest_when_there_is_no_work() {
        let pool = pool_of(2);
        for round in 0..100 {
            assert_eq!(block_on(pool.run(async move || { round })), round);
        }
        while pool.queue.lock().threads > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn a_panic_goes_on_in_whoever_awaits_and_work_goes_on() {
        let pool = pool_of(1);
        let panics = pool.run(async || -> () { panic_any(7) });
        drop(pool.run(async || -> () { panic_any(8) }));
        let caught = catch_unwind(AssertUnwindSafe(|| block_on(panics))).unwrap_err();
        assert_eq!(caught.downcast_ref(), Some(&7));
        assert_eq!(block_on(pool.run(async || { 9 })), 9);
    }

    /// Opens its gate and panics when it is dropped.
    struct Fragile(Arc<Gate>);

    impl Drop for Fragile {
        fn drop(&mut self) {
            self.0.open();
            panic!("it broke");
        }
    }

    #[test]
    fn what_is_dropped_is_done_and_may_panic_when_its_answer_goes() {
        let (pool, gone) = (pool_of(1), Arc::new(Gate::default()));
        let fragile = Arc::clone(&gone);
        drop(pool.run(async move || Fragile(fragile)));
        block_on(gone.opened());
        assert_eq!(block_on(pool.run(async || { 1 })), 1);
    }

    /// What a job had thrown that nobody awaited was dropped where another panic ended the process.
    #[test]
    fn what_is_thrown_at_nobody_may_panic_when_it_is_dropped() {
        let (pool, gone) = (pool_of(1), Arc::new(Gate::default()));
        let fragile = Arc::clone(&gone);
        drop(pool.run(async move || -> () { panic_any(Fragile(fragile)) }));
        block_on(gone.opened());
        assert_eq!(block_on(pool.run(async || { 1 })), 1);
    }

    /// Starts a thread at every third attempt.
    fn start_when_asked_again(reserve: Arc<Reserve>) -> io::Result<()> {
        static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
        if ATTEMPTS.fetch_add(1, Ordering::Relaxed) % 3 != 2 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        thread::spawn(move || reserve.serve());
        Ok(())
    }

    #[test]
    fn where_no_thread_can_be_started_whoever_waits_asks_again() {
        let reserve = Reserve::new(start_when_asked_again, Duration::ZERO);
        let pool = Pool::of(1, reserve);
        for round in 0..3 {
            let gate = Arc::new(Gate::default());
            let waits = Arc::clone(&gate);
            // In a task, and on a thread that leaves no other one.
            let waiting = pool.run(async move || block_on(waits.opened()));
            let opening = pool.run(async move || gate.open());
            block_on(async { (waiting.await, opening.await) });
            assert_eq!(block_on(pool.run(async move || round)), round);
        }
    }
}
