//! Pages of rows in the order of keys, or of their ids.

use super::sql::Sql;
use super::{fault, row};
use crate::store::{Most, Range, Scanned};
use rusqlite::Connection;

/// The rows of `keys`, until the page is complete.
pub(super) fn page(
    connection: &Connection,
    sql: &Sql,
    keys: Range<'_>,
    most: Most,
) -> rusqlite::Result<Vec<Scanned>> {
    let mut statement = connection.prepare_cached(&sql.page)?;
    let mut rows = statement.query((keys.from, keys.end))?;
    let (mut page, mut bytes): (Vec<Scanned>, u64) = (Vec::new(), 0);
    while !most.is_reached(page.len(), bytes)
        && let Some(row) = rows.next()?
    {
        let Some(found) = row::scanned_text(row)? else { continue };
        // Whoever goes on behind the last key would go round in circles otherwise.
        if page.last().map_or(*found.key < *keys.from, |last| found.key <= last.key) {
            return Err(fault::damage("the index of keys is out of order".to_owned()));
        }
        bytes = bytes.saturating_add(found.meta.encoded_size());
        page.push(found);
    }
    Ok(page)
}

/// Rows that were found behind the id `after`, if they are in the order of their ids.
pub(super) fn in_order(after: i64, rows: Vec<Scanned>) -> rusqlite::Result<Vec<Scanned>> {
    let mut last = after;
    for row in &rows {
        // As above.
        if row.id <= last {
            return Err(fault::damage(format!("row {} comes after row {last}", row.id)));
        }
        last = row.id;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::super::row::Seed;
    use super::*;
    use rusqlite::ErrorCode;

    const EVERYTHING: Range<'_> = Range { from: "", end: None };
    const ALL: Most = Most { rows: usize::MAX, bytes: u64::MAX };

    /// With a row for each key, with a value of so many bytes as its place says, from 1 on.
    fn table(keys: &[&str]) -> (Connection, Sql) {
        let (connection, sql) = (Connection::open_in_memory().unwrap(), Sql::new(1, Seed::of("a")));
        connection.execute_batch(&sql.create).unwrap();
        for (key, size) in keys.iter().zip(1..) {
            let mut insert = connection.prepare(&sql.insert).unwrap();
            insert.execute((key, size, size, 0, 0, "1.0.0", 1, 0, b"", None::<i64>, 0)).unwrap();
        }
        (connection, sql)
    }

    fn keys(connection: &Connection, sql: &Sql, keys: Range<'_>, most: Most) -> Vec<String> {
        let page = page(connection, sql, keys, most).unwrap();
        page.into_iter().map(|row| row.key.to_string()).collect()
    }

    #[test]
    fn a_page_is_found_by_the_index_of_keys_alone() {
        let (connection, sql) = table(&[]);
        let explain = format!("EXPLAIN QUERY PLAN {}", sql.page);
        let mut plan = connection.prepare(&explain).unwrap();
        for end in [Some("b"), None] {
            let steps = plan.query_map(("a", end), |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<_> = steps.map(Result::unwrap).collect();
            let by_key = "USING INDEX sqlite_autoindex_entries_1_1 (key>? AND key<?)";
            assert!(steps.len() == 1 && steps[0].ends_with(by_key), "{steps:?}");
        }
    }

    #[test]
    fn a_page_has_the_keys_of_its_range_in_order() {
        let (connection, sql) = table(&["b", "a\0", "\u{10ffff}", "a", "B", "ab"]);
        let found = |from, end| keys(&connection, &sql, Range { from, end }, ALL);
        assert_eq!(found("", None), ["B", "a", "a\0", "ab", "b", "\u{10ffff}"]);
        assert_eq!(found("a", Some("b")), ["a", "a\0", "ab"]);
        assert_eq!(found("a\0", Some("ab")), ["a\0"]);
        assert_eq!(found("b\0", None), ["\u{10ffff}"]);
        assert_eq!(found("c", Some("d")), [""; 0]);
    }

    #[test]
    fn a_page_ends_with_the_row_that_completes_it() {
        let (connection, sql) = table(&["a", "b", "c", "d"]);
        let found = |rows, bytes| keys(&connection, &sql, EVERYTHING, Most { rows, bytes }).len();
        assert_eq!([0, 1, 3, 9].map(|rows| found(rows, u64::MAX)), [0, 1, 3, 4]);
        assert_eq!([0, 1, 2, 3, 4, 6, 7].map(|bytes| found(9, bytes)), [0, 1, 2, 2, 3, 3, 4]);
    }

    #[test]
    fn rows_whose_keys_are_no_text_are_passed_over() {
        let (connection, sql) = table(&["a", "b", "c"]);
        let damage = "UPDATE entries_1 SET key = CAST(x'62ff' AS TEXT) WHERE key = 'b'";
        assert_eq!(connection.execute(damage, []).unwrap(), 1);
        let most = Most { rows: 2, ..ALL };
        assert_eq!(keys(&connection, &sql, EVERYTHING, most), ["a", "c"]);
    }

    /// Rows may share one text of any length, and a page of them took as many times its memory.
    #[test]
    fn texts_that_are_longer_than_any_are_not_copied() {
        let (connection, sql) = table(&["a", "b", "c", "d"]);
        let change = |sql: &str, key: &str, text: String| {
            assert_eq!(connection.execute(sql, (key, text)).unwrap(), 1);
        };
        let key = "UPDATE entries_1 SET key = ?2 WHERE key = ?1";
        change(key, "b", "b".repeat(row::LONGEST_KEY));
        change(key, "c", "c".repeat(row::LONGEST_KEY + 1));
        let version = "UPDATE entries_1 SET schema_version = ?2 WHERE key = ?1";
        change(version, "d", "1".repeat(row::LONGEST_VERSION + 1));
        let found = page(&connection, &sql, EVERYTHING, ALL).unwrap();
        let sizes = |page: &[Scanned]| -> Vec<_> {
            page.iter().map(|row| (row.key.len(), row.meta.version.len())).collect()
        };
        assert_eq!(sizes(&found), [(1, 5), (row::LONGEST_KEY, 5), (1, 0)]);
        let mut scan = connection.prepare(&sql.scan).unwrap();
        let rows = scan.query_map((i64::MIN, 9), row::scanned).unwrap();
        let rows: Vec<_> = rows.map(Result::unwrap).collect();
        assert_eq!(sizes(&rows), [(1, 5), (row::LONGEST_KEY, 5), (0, 5), (1, 0)]);
        let mut read = connection.prepare(&sql.read).unwrap();
        connection.execute("UPDATE entries_1 SET value = zeroblob(2000000)", []).unwrap();
        let row = read.query_row(["a"], |row| row::row(row, "a", sql.seed)).unwrap();
        assert_eq!((row.value.len(), row.intact), (0, false));
    }

    /// Pages of a table had changed places, so that its ids fell. `purge_outdated` went on behind the last id of
    /// each page, met the same rows again and again, and never ended.
    #[test]
    fn a_table_that_is_out_of_order_is_damage() {
        let (connection, mut sql) = table(&["a", "b"]);
        let scan = |sql: &Sql, after: i64| {
            let mut statement = connection.prepare(&sql.scan).unwrap();
            let rows = statement.query_map((i64::MIN, 9), row::scanned).unwrap();
            in_order(after, rows.map(Result::unwrap).collect())
        };
        let found = scan(&sql, i64::MIN).unwrap();
        let again = scan(&sql, found[0].id).unwrap_err();
        assert_eq!(again.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt));
        sql.scan = sql.scan.replace("ORDER BY id", "ORDER BY id DESC");
        let falling = scan(&sql, i64::MIN).unwrap_err();
        assert_eq!(falling.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt));
        assert!(in_order(0, Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn an_index_that_is_out_of_order_is_damage() {
        let (connection, mut sql) = table(&["a", "b"]);
        sql.page = sql.page.replace("ORDER BY key", "ORDER BY key DESC");
        let error = page(&connection, &sql, EVERYTHING, ALL).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt));
        sql.page = sql.page.replace("key >=", "key <>");
        let error = page(&connection, &sql, Range { from: "c", end: None }, ALL).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt));
    }
}
