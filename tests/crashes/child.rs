//! The parent's side of a child: hearing it, killing it.

use super::history::History;
use super::plan::Plan;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing that a child does takes so long, on the busiest machine, without a word of it.
const PATIENCE: Duration = Duration::from_secs(60);

const SIGKILL: i32 = 9;

/// A child at work. It is killed when this is dropped.
pub struct Running {
    child: Child,
    said: Receiver<(Instant, String)>,
    pub history: History,
    pub lines: usize,
    still: bool,
}

/// A child that has ended.
pub struct Dead {
    pub history: History,
    pub killed: Instant,
    /// `None` if it came to its end.
    pub signal: Option<i32>,
}

impl Running {
    /// Starts this test binary again with the test that asks, which does a child's part.
    pub fn start(test: &str, plan: &Plan, path: &Path, crash_at: Option<&str>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", test, "--nocapture", "--include-ignored"])
            .current_dir(path.parent().unwrap());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("DBC_CRASH_AT").envs(crash_at.map(|point| ("DBC_CRASH_AT", point)));
        plan.tell(&mut command, path);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, said) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if say.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        Self { child, said, history: History::default(), lines: 0, still: false }
    }

    /// Hears one line, or nothing until `deadline`. Says whether the child still has something to say.
    fn hear(&mut self, deadline: Instant) -> bool {
        let wait = deadline.saturating_duration_since(Instant::now());
        match self.said.recv_timeout(wait) {
            Ok((heard, line)) => {
                self.lines += usize::from(self.history.hear(&line, heard));
                self.still |= line == "#still";
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Hears until `enough` says so, or the child has ended.
    pub fn hear_until(&mut self, enough: impl Fn(&Self) -> bool) {
        let mut deadline = Instant::now() + PATIENCE;
        while !enough(self) && self.hear(deadline) {
            let now = Instant::now();
            assert!(now < deadline, "the child does nothing: {:?}", self.unfinished());
            deadline = now + PATIENCE;
        }
    }

    /// Hears for a while.
    pub fn hear_for(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline && self.hear(deadline) {}
    }

    pub fn is_still(&self) -> bool {
        self.still
    }

    fn unfinished(&self) -> Vec<String> {
        let operations = self.history.operations.iter();
        let unfinished =
            operations.filter(|begun| begun.ended.is_none() && begun.end() == usize::MAX);
        unfinished.map(|operation| format!("{operation:?}")).collect()
    }

    /// Kills it at once, and hears the rest.
    pub fn kill(mut self) -> Dead {
        let killed = Instant::now();
        self.child.kill().unwrap();
        let dead = self.end(killed);
        assert_eq!(dead.signal, Some(SIGKILL), "the child did not wait to be killed");
        dead
    }

    /// Hears it until it ends by itself.
    #[cfg(crash_points)]
    pub fn last(mut self) -> Dead {
        self.hear_until(|_| false);
        self.end(Instant::now())
    }

    fn end(&mut self, killed: Instant) -> Dead {
        let deadline = Instant::now() + PATIENCE;
        while self.hear(deadline) {
            assert!(Instant::now() < deadline, "the child does not die");
        }
        let status = self.child.wait().unwrap();
        let mut complaints = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        assert!(
            status.signal().is_some() || status.success(),
            "the child failed:\n{complaints}\nduring {:?}",
            self.unfinished()
        );
        let history = std::mem::take(&mut self.history);
        Dead { history, killed, signal: status.signal() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
