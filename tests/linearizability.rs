//! Eight threads on few keys, with limits below the number of keys: whatever they are answered, for
//! each key there is one order of all that was done to it which explains the answers (O29), and
//! afterwards everything adds up.
//!
//! 100 rounds are played, with `DBC_LONG=1` 1,000, which makes more than a million recorded operations in
//! all tests together, or as many as `DBC_LINEARIZABILITY_ROUNDS` says. A round's number is its seed. Built with `--cfg planted_bugs`, the
//! check is checked itself.

#[path = "linearizability/face.rs"]
mod face;
#[path = "linearizability/game.rs"]
mod game;
#[path = "linearizability/history.rs"]
mod history;
#[cfg(planted_bugs)]
#[path = "linearizability/planted.rs"]
mod planted;
#[path = "linearizability/player.rs"]
mod player;
#[path = "report/mod.rs"]
mod report;
#[path = "linearizability/values.rs"]
mod values;
#[path = "linearizability/watchdog.rs"]
mod watchdog;

use disk_backed_cache::CacheFile;
use game::{Game, Rules};
use report::report;
use watchdog::watched;

const PLAIN: Rules = Rules {
    disk_entries: None,
    expiry: false,
    upgrades: false,
    background: false,
    buffered: false,
    asynchronous: false,
};

/// Plays on a file and in memory.
fn play(rules: Rules) {
    let is_long = std::env::var_os("DBC_LONG").is_some_and(|long| long == "1");
    let usual = if is_long { 1_000 } else { 100 };
    let rounds = std::env::var("DBC_LINEARIZABILITY_ROUNDS")
        .map_or(usual, |rounds| rounds.parse().expect("DBC_LINEARIZABILITY_ROUNDS is a number"));
    watched(move |alive| {
        let folder = tempfile::tempdir().unwrap();
        let file = CacheFile::open(folder.path().join("cache.db")).unwrap();
        let mut games =
            [file, CacheFile::open_in_memory().unwrap()].map(|file| Game::new(rules, file));
        for round in 0..rounds {
            for game in &mut games {
                game.round(round);
                alive();
            }
        }
        report!("{} operations were recorded", games.iter().map(Game::recorded).sum::<usize>());
        games.into_iter().for_each(Game::end);
    });
}

// rule: O29, C3, R12
#[test]
fn one_order_explains_all_answers() {
    play(PLAIN);
}

// rule: O29, R6, R11
#[test]
fn one_order_explains_all_answers_while_rows_are_evicted() {
    play(Rules { disk_entries: Some(3), ..PLAIN });
}

// rule: O29, R11
#[test]
fn one_order_explains_all_answers_while_rows_expire() {
    play(Rules { expiry: true, ..PLAIN });
}

// rule: O29, V4, V6
#[test]
fn one_order_explains_all_answers_while_rows_are_upgraded() {
    play(Rules { upgrades: true, ..PLAIN });
}

// rule: O29, V4, V5, V6
#[test]
fn one_order_explains_all_answers_while_rows_are_upgraded_and_evicted() {
    play(Rules { upgrades: true, disk_entries: Some(3), ..PLAIN });
}

// rule: O29, F12
#[test]
fn one_order_explains_all_answers_while_readers_keep_snapshots() {
    play(Rules { background: true, disk_entries: Some(3), ..PLAIN });
}

// rule: O29, D8
#[test]
fn one_order_explains_all_answers_while_puts_are_buffered() {
    play(Rules { buffered: true, ..PLAIN });
}

// rule: O29, D8, D9
#[test]
fn one_order_explains_all_answers_while_puts_are_buffered_and_rows_are_evicted() {
    play(Rules { buffered: true, disk_entries: Some(3), ..PLAIN });
}

// rule: O29, D8
#[test]
fn one_order_explains_all_answers_while_puts_are_buffered_and_rows_expire() {
    play(Rules { buffered: true, expiry: true, ..PLAIN });
}

#[cfg(feature = "future")]
// rule: O29, A4, A5
#[test]
fn one_order_explains_all_answers_of_both_faces_and_what_was_left() {
    play(Rules { asynchronous: true, ..PLAIN });
}

#[cfg(feature = "future")]
// rule: O29, A4, A5
#[test]
fn one_order_explains_what_both_faces_do_while_rows_are_evicted() {
    play(Rules { asynchronous: true, disk_entries: Some(3), ..PLAIN });
}

#[cfg(feature = "future")]
// rule: O29, A4, A5, D8
#[test]
fn one_order_explains_what_both_faces_do_while_puts_are_buffered() {
    play(Rules { asynchronous: true, buffered: true, ..PLAIN });
}
