//! Whether all that a file has is what this library makes, or does nothing by itself.
//!
//! SQLite runs what a view, a trigger, a constraint or an index says whenever a statement of ours meets it,
//! for as long as that takes. So a file that has any of its own is damaged, before one of them is met.

use super::{fault, sql};
use rusqlite::Connection;

/// Refuses a catalogue that says anything else.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql::EVERY_STATEMENT)?;
    let mut rows = statement.query([])?;
    while let Some(columns) = rows.next()? {
        let (name, statement): (String, String) = (columns.get(0)?, columns.get(1)?);
        if !is_ours(&name, &statement) && !is_idle(&statement) {
            return Err(fault::damage(format!("{name:?} is not of a cache's making")));
        }
    }
    Ok(())
}

/// Whether it is one of our statements, for whichever collection, of this format or the one before.
fn is_ours(name: &str, statement: &str) -> bool {
    let found = bare(statement);
    let number = name.split('_').nth(1).and_then(|number| number.parse().ok());
    let ours = number.map_or_else(|| sql::all_of_catalogue().to_vec(), sql::all_of_collection);
    ours.iter().any(|ours| bare(ours).replace("ifnotexists", "") == found)
}

/// Whether it is any table, or an index, for which nothing has to be computed. Whether one of ours has the columns
/// that it should is for the collection to see.
fn is_idle(statement: &str) -> bool {
    const COMPUTING: [&str; 5] = ["check", "as(", "default(", "/*", "--"];
    let bare = bare(statement);
    if bare.starts_with("createtable") {
        return !COMPUTING.iter().any(|sign| bare.contains(sign));
    }
    let is_index = bare.starts_with("createindex") || bare.starts_with("createuniqueindex");
    let columns = statement.split_once('(').and_then(|(_, columns)| columns.strip_suffix(')'));
    let is_column =
        |column: &str| column.trim().chars().all(|char| char == '_' || char.is_alphanumeric());
    is_index && columns.is_some_and(|columns| columns.split(',').all(is_column))
}

/// What SQLite does not tell apart: without blanks, quotes of names, and cases.
fn bare(statement: &str) -> String {
    let told = |char: &char| !char.is_whitespace() && *char != '"';
    statement.chars().filter(told).map(|char| char.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::row::Seed;
    use super::super::sql::{OldSql, Sql};
    use super::*;

    /// The catalogue of a file with the collections 1 and 12, of which the last has tags.
    fn file() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql::SCHEMA).unwrap();
        for id in [1, 12] {
            let sql = Sql::new(id, Seed::of("a"));
            connection.execute_batch(&sql.create).unwrap();
            if id == 12 {
                connection.execute_batch(&sql.tags.create).unwrap();
            }
        }
        connection
    }

    #[test]
    fn what_this_library_makes_is_known() {
        let connection = file();
        check(&connection).unwrap();
        let tags = Sql::new(12, Seed::of("a")).tags;
        for sql in [&tags.drop_parts, &tags.rebuild, &tags.create] {
            connection.execute_batch(sql).unwrap();
            check(&connection).unwrap();
        }
        let old = "ALTER TABLE entries_1 RENAME COLUMN seal TO checksum;
                   ALTER TABLE collections RENAME COLUMN highest_version TO schema_version";
        connection.execute_batch(old).unwrap();
        check(&connection).unwrap();
        connection.execute_batch(&OldSql::new(1).rename).unwrap();
        connection.execute_batch(sql::RENAME_VERSION).unwrap();
        check(&connection).unwrap();
    }

    #[test]
    fn what_does_nothing_by_itself_is_let_be() {
        let connection = file();
        let others = "CREATE TABLE notes (text TEXT DEFAULT 'milk', of REFERENCES entries_1 (key));
                      CREATE UNIQUE INDEX by_text ON notes (text, of);
                      ALTER TABLE entries_1 ADD COLUMN more TEXT; CREATE TABLE entries_2 (text);
                      DROP INDEX entries_1_order; CREATE INDEX entries_1_order ON entries_1 (size);
                      ANALYZE";
        connection.execute_batch(others).unwrap();
        check(&connection).unwrap();
    }

    #[test]
    fn what_computes_anything_is_not() {
        let hostile = [
            "CREATE VIEW more AS SELECT 1",
            "CREATE TRIGGER more AFTER INSERT ON entries_1 BEGIN SELECT 1; END",
            "DROP TRIGGER tags_12_gone; CREATE TRIGGER tags_12_gone AFTER DELETE ON entries_12 BEGIN SELECT 1; END",
            "CREATE VIRTUAL TABLE more USING fts5 (text)",
            "CREATE TABLE more (text CHECK (text > 1))",
            "CREATE TABLE more (text, twice AS (text || text))",
            "CREATE TABLE more (text, twice GENERATED ALWAYS AS (text || text))",
            "CREATE TABLE more (text /* anything */)",
            "CREATE TABLE more (text, twice DEFAULT (1 + 1))",
            "ALTER TABLE entries_1 ADD COLUMN more TEXT CHECK (more > 1)",
            "ALTER TABLE collections ADD COLUMN more TEXT AS (name || name)",
            "CREATE INDEX more ON entries_1 (size) WHERE size > 1",
            "CREATE INDEX more ON entries_1 (size + 1)",
            "CREATE INDEX more ON entries_1 (key LIKE key)",
            "CREATE INDEX more ON entries_1 (key COLLATE NOCASE)",
        ];
        for hostile in hostile {
            let connection = file();
            connection.execute_batch(hostile).unwrap();
            assert!(check(&connection).is_err(), "{hostile}");
        }
    }
}
