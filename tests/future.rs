//! The asynchronous face, under both runtimes of tokio.

#[path = "future/cancellation.rs"]
mod cancellation;
#[path = "future/circles.rs"]
mod circles;
#[path = "future/closing.rs"]
mod closing;
#[path = "future/crowd.rs"]
mod crowd;
#[path = "future/groups.rs"]
mod groups;
#[path = "future/leases.rs"]
mod leases;
#[path = "future/listening.rs"]
mod listening;
#[path = "future/loading.rs"]
mod loading;
#[path = "behaviour/support/log.rs"]
mod log;
#[path = "future/memory_cache.rs"]
mod memory_cache;
#[path = "future/operations.rs"]
mod operations;
#[path = "future/refreshing.rs"]
mod refreshing;
#[path = "future/threads.rs"]
mod threads;
#[path = "future/timeouts.rs"]
mod timeouts;
#[path = "future/user_code.rs"]
mod user_code;
#[path = "linearizability/watchdog.rs"]
mod watchdog;

use disk_backed_cache::{AsyncDiskBackedCache, Cacheable, DiskBackedCache};
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Runs `check` under each runtime, as a task of it, with an eye on whether it ends.
fn on_both<F: Future<Output = ()> + Send + 'static>(check: impl Fn() -> F + Send + 'static) {
    watchdog::watched(move |alive| {
        for (name, runtime) in runtimes() {
            // The harness shows this for a test that fails.
            println!("on the {name} runtime");
            let task = runtime.spawn(check());
            runtime.block_on(task).unwrap();
            alive();
        }
    });
}

fn runtimes() -> [(&'static str, Runtime); 2] {
    let current = Builder::new_current_thread().enable_time().build().unwrap();
    let multi = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    [("current-thread", current), ("multi-thread", multi)]
}

/// A cache in memory, without background work.
fn in_memory<T: Cacheable>() -> AsyncDiskBackedCache<T> {
    let builder = DiskBackedCache::builder().background_maintenance(false);
    builder.open_in_memory().unwrap().into_async()
}

/// A place for a file.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("cache.db")
    }

    /// Whether nothing lies beside the file, as when nobody has it open.
    fn is_released(&self) -> bool {
        let mut names = self.0.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        names.all(|name| name == "cache.db")
    }
}

/// Holds the file's write lock, as a busy process would, until the connection is dropped.
fn locked(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

/// Polls once, with nobody to be woken.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls `future` whenever it wakes, but at most so many times, and drops it then.
async fn polled_at_most<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Asks again and again until it is so. (The watchdog ends a test for which it never is.)
async fn eventually<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    while !is_so().await {
        tokio::task::yield_now().await;
    }
}
