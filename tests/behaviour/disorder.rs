//! Files in which pages or rows are not where they belong. What goes through them comes to an end.

use crate::support::{Doc, on_file, raw};
use disk_backed_cache::{ErrorKind, PutOptions};
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The bytes of a page, which are numbered from 1.
fn page(file: &mut [u8], size: usize, number: usize) -> &mut [u8] {
    &mut file[(number - 1) * size..number * size]
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Exchanges the first leaf of a table of two levels and the one that holds the row `index`.
fn exchange_leaves(path: &Path, table: &str, index: usize) {
    let connection = raw(path);
    let size: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root: u32 = connection.query_row(sql, [table], |row| row.get(0)).unwrap();
    let (size, root) = (size as usize, root as usize);
    drop(connection);
    let mut file = fs::read(path).unwrap();
    let root = page(&mut file, size, root).to_vec();
    assert_eq!(root[0], 5, "the root is above leaves");
    let cells = (0..number(&root[3..5])).map(|cell| number(&root[12 + 2 * cell..][..2]));
    let leaves: Vec<usize> = cells.map(|cell| number(&root[cell..][..4])).collect();
    let mut before = 0;
    let later = leaves.iter().copied().find(|leaf| {
        let leaf = page(&mut file, size, *leaf);
        assert_eq!(leaf[0], 13, "it is a leaf");
        before += number(&leaf[3..5]);
        before > index
    });
    let [first, later] = [leaves[0], later.unwrap()];
    let [one, other] = [first, later].map(|leaf| page(&mut file, size, leaf).to_vec());
    page(&mut file, size, first).copy_from_slice(&other);
    page(&mut file, size, later).copy_from_slice(&one);
    fs::write(path, file).unwrap();
}

/// Rows were read a thousand at a time, each time those behind the last id. Where the thousandth row was one of the
/// first, these were the same rows again, for ever.
// rule: F5
#[test]
fn rows_that_are_out_of_order_are_damage_and_not_met_again_and_again() {
    on_file(|bench, path| {
        let cache = bench.cache::<Doc<1>>(|b| b);
        let pairs = (0..3_000).map(|key| (key.to_string(), Doc("text".into())));
        cache.put_many(pairs).unwrap();
        cache.close().unwrap();
        bench.release();
        exchange_leaves(path, "entries_1", 999);
        let cache = bench.cache::<Doc<1>>(|b| b);
        let (done, purged) = mpsc::channel();
        let clone = cache.clone();
        thread::spawn(move || done.send(clone.purge_outdated()));
        let purged = purged.recv_timeout(Duration::from_secs(30)).expect("it comes to an end");
        assert_eq!(purged.unwrap_err().kind(), ErrorKind::Corrupt);
    });
}

/// Tagged rows are deleted a thousand at a time. Of two on either side of a page's end whose keys did not find them each was tried again whenever the other one
/// had been, for ever.
// rule: J6, F5
#[test]
fn rows_of_two_pages_that_their_keys_do_not_find_are_passed_over() {
    on_file(|bench, path| {
        let cache = bench.cache::<u32>(|b| b);
        let rows = (0..1_100).map(|row| (row.to_string(), row));
        cache.with(PutOptions::new().tag("red")).put_many(rows).unwrap();
        let damage =
            "UPDATE entries_1 SET key = CAST(key || x'ff' AS TEXT) WHERE key IN ('5', '1050')";
        raw(path).execute_batch(damage).unwrap();
        let (say, deleted) = mpsc::channel();
        thread::spawn(move || say.send(cache.delete_tag("red")));
        let deleted = deleted.recv_timeout(Duration::from_secs(30)).expect("it comes to an end");
        assert_eq!(deleted.unwrap(), 1_098);
    });
}
