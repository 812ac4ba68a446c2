//! Other processes: this test binary once more, running one test, which finds out that it is the child.
//! Parent and child talk in lines. A child that hears no more from its parent ends.

use std::io::{BufRead, BufReader, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const FILE: &str = "PROCESSES_TEST_FILE";
const TASK: &str = "PROCESSES_TEST_TASK";

/// What a child's line begins with; the test harness prints others.
const MARK: &str = "child: ";

/// What it says of a panic.
const FAILED: &str = "failed";

/// Far more than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The part of a test that runs in processes of its own.
#[derive(Clone, Copy)]
pub struct Child {
    test: &'static str,
}

/// What a child was started for.
pub struct Task {
    pub file: PathBuf,
    /// In the words of the test.
    pub words: String,
    told: Receiver<String>,
}

impl Child {
    /// `test` is the full name of the test that asks, such as `opening::it_works`.
    pub fn of(test: &'static str) -> Self {
        Self { test }
    }

    /// In the child, what it is to do.
    pub fn task(self) -> Option<Task> {
        let file = PathBuf::from(std::env::var_os(FILE)?);
        let words = std::env::var(TASK).unwrap();
        let (tell, told) = mpsc::channel();
        // Ends with the process: nobody else reads its orders.
        thread::spawn(move || {
            let lines = std::io::stdin().lines().map_while(Result::ok);
            lines.take_while(|line| tell.send(line.clone()).is_ok()).count();
        });
        Some(Task { file, words, told })
    }

    /// Starts a child on `file`.
    pub fn start(self, file: &Path, words: &str) -> Running {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", self.test, "--nocapture"])
            .env(FILE, file)
            .env(TASK, words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (say, said) = mpsc::channel();
        let listener = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(line) = line.strip_prefix(MARK) {
                    // The parent may have stopped listening.
                    let _heard = say.send(line.to_owned());
                }
            }
        });
        let orders = process.stdin.take();
        Running { process, orders, said, listener: Some(listener), words: words.to_owned() }
    }
}

/// Says a line to the parent.
fn say(line: &str) {
    // One call, so that a child that is killed has said a line or nothing.
    let mut output = std::io::stdout().lock();
    output.write_all(format!("{MARK}{line}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}

impl Task {
    /// Says a line to the parent.
    pub fn say(&self, line: &str) {
        say(line);
    }

    /// Says at once if anything fails: before the child ends by it, it may be killed.
    pub fn say_failures(&self) {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |failure| {
            say(FAILED);
            usual(failure);
        }));
    }

    /// The next order; `None` at the end.
    pub fn hear(&self) -> Option<String> {
        self.told.recv().ok()
    }

    /// Waits for the order to end; says whether it came, or the parent has gone.
    pub fn ends_within(&self, wait: Duration) -> bool {
        !matches!(self.told.recv_timeout(wait), Err(RecvTimeoutError::Timeout))
    }
}

/// A child that was started. It is killed when it is dropped.
pub struct Running {
    process: process::Child,
    orders: Option<ChildStdin>,
    said: Receiver<String>,
    listener: Option<JoinHandle<()>>,
    words: String,
}

impl Running {
    pub fn tell(&mut self, order: &str) {
        let orders = self.orders.as_mut().unwrap();
        orders.write_all(format!("{order}\n").as_bytes()).unwrap();
    }

    /// What the child says next that begins with `word`, without that.
    pub fn hear(&self, word: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.said.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line =
                line.unwrap_or_else(|gone| panic!("{:?} says no {word:?}: {gone}", self.words));
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Everything it has said so far and was not heard yet.
    pub fn heard(&self) -> impl Iterator<Item = String> {
        self.said.try_iter().inspect(|line| self.expect_success(line))
    }

    /// Whether it still runs. Fails if it has failed.
    pub fn expect_running(&mut self) {
        let ended = self.process.try_wait().unwrap();
        assert!(ended.is_none(), "process {:?} ended by itself: {ended:?}", self.words);
    }

    /// Lets it end by itself; returns the lines not heard yet.
    pub fn end(mut self) -> Vec<String> {
        drop(self.orders.take());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.process.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "{:?} does not end", self.words),
            }
            thread::park_timeout(Duration::from_millis(1));
        };
        assert!(status.success(), "process {:?} failed: {status}", self.words);
        self.last_words()
    }

    /// Kills it at once, as the system would; returns the lines not heard yet.
    pub fn kill(mut self) -> Vec<String> {
        self.expect_running();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.last_words()
    }

    fn last_words(&mut self) -> Vec<String> {
        self.listener.take().unwrap().join().unwrap();
        self.heard().collect()
    }

    fn expect_success(&self, line: &str) {
        assert!(line != FAILED, "process {:?} has failed", self.words);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _killed = self.process.kill();
        let _reaped = self.process.wait();
    }
}
