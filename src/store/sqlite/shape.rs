//! Whether all that a file has is what this library makes, or does nothing by itself.
//!
//! SQLite runs what a view, a trigger, a constraint or an index says whenever a statement of ours meets it,
//! for as long as that takes. So a file that has any of its own is damaged, before one of them is met.

use super::tokens::{Token, tokens};
use super::{fault, sql};
use rusqlite::Connection;

/// What nobody writes is not taken apart: that takes some twenty times as much memory.
const LONGEST_STATEMENT: usize = 1_000_000;

/// Refuses a catalogue that says anything else.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql::EVERY_STATEMENT)?;
    let mut rows = statement.query([])?;
    while let Some(columns) = rows.next()? {
        let name: String = columns.get(0)?;
        let statement = columns.get_ref(1)?.as_str()?;
        // SQLite ends a name there, and takes it for another.
        let is_known = !name.contains('\0') && statement.len() <= LONGEST_STATEMENT && {
            let statement = tokens(statement);
            is_ours(&name, &statement) || is_idle(&name, &statement)
        };
        if !is_known {
            return Err(fault::damage(format!("{name:?} is not of a cache's making")));
        }
    }
    Ok(())
}

/// Whether it is one of our statements, for whichever collection, of this format or the one before.
fn is_ours(name: &str, statement: &[Token<'_>]) -> bool {
    ours(name).iter().any(|ours| tokens(ours) == statement)
}

/// What makes whatever has a name with that number, as the catalogue has it.
fn ours(name: &str) -> Vec<String> {
    let number = name.split('_').nth(1).and_then(|number| number.parse().ok());
    let ours = number.map_or_else(|| sql::all_of_catalogue().to_vec(), sql::all_of_collection);
    ours.iter().map(|ours| ours.replace("IF NOT EXISTS ", "")).collect()
}

/// Whether it is a table or an index, for which nothing has to be computed, and that forbids no row of ours.
fn is_idle(name: &str, statement: &[Token<'_>]) -> bool {
    let begins_with = |words: &[&str]| {
        statement.len() > words.len()
            && words.iter().zip(statement).all(|(word, token)| token.is(word))
    };
    if begins_with(&["CREATE", "TABLE"]) {
        return if is_our_table(name) {
            has_only_more_columns(name, statement)
        } else {
            !computes(statement)
        };
    }
    let (unique, index) = match statement {
        _ if begins_with(&["CREATE", "INDEX"]) => (false, &statement[2..]),
        _ if begins_with(&["CREATE", "UNIQUE", "INDEX"]) => (true, &statement[3..]),
        _ => return false,
    };
    match index {
        [_, on, table, Token::Sign('('), columns @ .., Token::Sign(')')] => {
            let others = table.name().is_some_and(|table| !is_our_table(table));
            let mut columns = columns.split(|token| *token == Token::Sign(','));
            on.is("ON") && (others || !unique) && columns.all(is_column)
        }
        _ => false,
    }
}

/// Whether statements of ours mean it: what they write must be what they find.
fn is_our_table(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_numbered = |prefix| {
        let number: Option<&str> = name.strip_prefix(prefix);
        number.is_some_and(|number| {
            number.parse().is_ok_and(|parsed: i64| parsed >= 0 && parsed.to_string() == number)
        })
    };
    name == "collections" || is_numbered("entries_") || is_numbered("tags_")
}

/// Whether it is one of our tables, to which somebody added columns that bind nobody.
fn has_only_more_columns(name: &str, table: &[Token<'_>]) -> bool {
    ours(name).iter().any(|ours| {
        let ours = tokens(ours);
        let end = ours.iter().rposition(|token| *token == Token::Sign(')')).unwrap_or(0);
        let (begin, end) = ours.split_at(end);
        let more = table.strip_prefix(begin).and_then(|more| more.strip_suffix(end));
        let Some([Token::Sign(','), more @ ..]) = more else { return false };
        more.split(|token| *token == Token::Sign(',')).all(binds_nothing)
    })
}

/// Whether a column of a strict table takes no part in a row that says nothing of it: its default is of its type.
fn binds_nothing(column: &[Token<'_>]) -> bool {
    let [name, kind, rest @ ..] = column else { return false };
    let fits = match rest {
        [] => true,
        [default, value @ ..] if default.is("DEFAULT") => match value {
            [value] if value.is("NULL") => true,
            [Token::Literal(_)] => kind.is_any_of(&["TEXT", "ANY"]),
            [blob, Token::Literal(_)] if blob.is("x") => kind.is_any_of(&["BLOB", "ANY"]),
            [Token::Sign('-' | '+'), number] | [number] => {
                number.is_integer() && kind.is_any_of(&["INT", "INTEGER", "REAL", "TEXT", "ANY"])
            }
            _ => false,
        },
        _ => false,
    };
    name.name().is_some() && kind.name().is_some() && fits
}

/// Whether a table's statement has constraints, columns or values of columns that are computed.
fn computes(table: &[Token<'_>]) -> bool {
    let default = |pair: &[Token<'_>]| pair[0].is("DEFAULT") && pair[1] == Token::Sign('(');
    table.iter().any(|token| token.is_any_of(&["CHECK", "AS"])) || table.windows(2).any(default)
}

/// Whether an index has the column itself there, in an order that SQLite has by itself.
fn is_column(tokens: &[Token<'_>]) -> bool {
    let tokens = match tokens {
        [rest @ .., order] if order.is_any_of(&["ASC", "DESC"]) => rest,
        all => all,
    };
    let column = match tokens {
        [column, collate, order]
            if collate.is("COLLATE") && order.is_any_of(&["BINARY", "NOCASE", "RTRIM"]) =>
        {
            column
        }
        [column] => column,
        _ => return false,
    };
    column.name().is_some()
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
                      ALTER TABLE entries_1 ADD COLUMN more TEXT DEFAULT 'x';
                      ALTER TABLE collections ADD COLUMN more TEXT; CREATE TABLE entries_of (text UNIQUE);
                      DROP INDEX entries_1_order; CREATE INDEX entries_1_order ON entries_1 (size);
                      ANALYZE";
        connection.execute_batch(others).unwrap();
        check(&connection).unwrap();
    }

    /// A table with a column `id INTEGER` or `checked` was taken for one that computes something, because the names
    /// have the letters of keywords in them, and a sound cache moved aside.
    #[test]
    fn names_that_contain_keywords_compute_nothing() {
        let harmless = [
            "CREATE TABLE extras (id INTEGER)",
            "CREATE TABLE notes (checked INTEGER)",
            "CREATE TABLE files (checksum TEXT, generated TEXT)",
            "CREATE TABLE canvas (a)",
            "CREATE TABLE more (a TEXT DEFAULT '--', b DEFAULT '/*', c DEFAULT 'CHECK (1)', d DEFAULT -1)",
            "CREATE TABLE more (\"check\" TEXT, [as] TEXT, `default` TEXT)",
            "CREATE TABLE more (text /* CHECK (anything) */) -- AS (text)",
            "CREATE TABLE more (text COLLATE NOCASE UNIQUE ON CONFLICT IGNORE)",
            "CREATE TABLE more (text, of); CREATE INDEX of_text ON more (text DESC, of ASC)",
            "CREATE TABLE more (text); CREATE INDEX of_text ON more (\"text\")",
            "CREATE TABLE more (text); CREATE INDEX of_text ON more ([text] DESC) -- by text",
            "CREATE TABLE more (text); CREATE INDEX of_text ON more ('text')",
            "CREATE TABLE more (text); CREATE UNIQUE INDEX of_text ON 'more' (text COLLATE BINARY DESC)",
            "CREATE INDEX by_size ON entries_1 (size COLLATE RTRIM)",
            // No number of a collection.
            "CREATE TABLE entries_9223372036854775808 (text UNIQUE)",
            "ALTER TABLE entries_1 ADD COLUMN more INTEGER DEFAULT -5",
            "ALTER TABLE entries_1 ADD COLUMN more BLOB DEFAULT x'00'; ALTER TABLE collections ADD COLUMN a ANY DEFAULT NULL",
        ];
        for harmless in harmless {
            let connection = file();
            connection.execute_batch(harmless).unwrap();
            check(&connection).unwrap_or_else(|error| panic!("{harmless}: {error}"));
        }
    }

    /// A table in the place of ours, with one more constraint, had puts that were acknowledged replace others or come
    /// to nothing, and took one key for another.
    #[test]
    fn what_binds_rows_of_ours_is_not() {
        let table = sql::all_of_collection(1).swap_remove(0);
        let other = |from: &str, to: &str| {
            assert!(table.contains(from), "{from}");
            "DROP TABLE entries_1;".to_owned() + &table.replace(from, to)
        };
        let last = "value          BLOB    NOT NULL";
        let with = |more: &str| other(last, &[last, more].join(","));
        let hostile = [
            with("UNIQUE (size) ON CONFLICT REPLACE"),
            with("UNIQUE (size) ON CONFLICT IGNORE"),
            with("UNIQUE (size)"),
            with("more TEXT UNIQUE"),
            with("more TEXT NOT NULL"),
            other("KEY,", "KEY ON CONFLICT REPLACE,"),
            other("PRIMARY KEY", "PRIMARY KEY DESC"),
            other("NOT NULL UNIQUE", "NOT NULL UNIQUE COLLATE NOCASE"),
            other("NOT NULL UNIQUE", "NOT NULL UNIQUE ON CONFLICT IGNORE"),
            other("NOT NULL UNIQUE", "NOT NULL"),
            other("key            TEXT ", "key INTEGER"),
            other("STRICT", ""),
            other("entries_1", "Entries_1").replace("UNIQUE", "UNIQUE COLLATE NOCASE"),
            other("entries_1", "\"entries_1\"").replace("UNIQUE", "UNIQUE COLLATE NOCASE"),
            "CREATE UNIQUE INDEX more ON entries_1 (size)".to_owned(),
            "CREATE UNIQUE INDEX more ON \"Entries_1\" (size)".to_owned(),
            "CREATE UNIQUE INDEX more ON 'entries_1' (size)".to_owned(),
            "CREATE UNIQUE INDEX more ON collections (entries)".to_owned(),
            "CREATE UNIQUE INDEX more ON tags_12 (tag)".to_owned(),
            "CREATE TABLE entries_2 (text)".to_owned(),
            "CREATE TABLE entries_9223372036854775807 (text)".to_owned(),
            "ALTER TABLE tags_12 ADD COLUMN more TEXT COLLATE NOCASE".to_owned(),
            // No row of ours could be put.
            "ALTER TABLE entries_1 ADD COLUMN more INTEGER DEFAULT 'x'".to_owned(),
            "ALTER TABLE entries_1 ADD COLUMN more INTEGER DEFAULT 9223372036854775808".to_owned(),
            "ALTER TABLE entries_1 ADD COLUMN more TEXT DEFAULT x'00'".to_owned(),
            "ALTER TABLE tags_12 ADD COLUMN more BLOB DEFAULT 1".to_owned(),
            "ALTER TABLE collections ADD COLUMN more REAL NOT NULL DEFAULT 1".to_owned(),
        ];
        for hostile in hostile {
            let connection = file();
            connection.execute_batch(&hostile).unwrap_or_else(|error| panic!("{hostile}: {error}"));
            assert!(check(&connection).is_err(), "{hostile}");
        }
    }

    /// SQLite read the name of our table, and this the whole one, which was somebody else's. So a table in the place
    /// of ours had puts that were acknowledged replace others after all.
    #[test]
    fn names_that_end_early_are_not() {
        let connection = file();
        let table = sql::all_of_collection(1).swap_remove(0);
        let last = "value          BLOB    NOT NULL";
        let other = table.replace(last, "value BLOB NOT NULL, UNIQUE (size) ON CONFLICT REPLACE");
        assert_ne!(other, table);
        connection.execute_batch(&("DROP TABLE entries_1;".to_owned() + &other)).unwrap();
        for more in ["x", ""] {
            let rename = "PRAGMA writable_schema = on;
                          UPDATE sqlite_schema SET name = 'entries_1' || char(0) || 'more'
                          WHERE name LIKE 'entries_1%' AND type = 'table'";
            let rename = rename.replace("more", more);
            connection.execute_batch(&rename).unwrap();
            assert!(check(&connection).is_err(), "{more:?}");
        }
    }

    /// Reading a statement of 40 MB took 592 MB.
    #[test]
    fn a_statement_of_endless_length_is_not() {
        let connection = file();
        let columns = |many: usize| vec!["a"; many].join(" a ");
        for (many, is_known) in [(10, true), (300_000, false)] {
            connection.execute_batch("DROP TABLE IF EXISTS more").unwrap();
            let more = ["CREATE TABLE more (", &columns(many), ")"].concat();
            connection.execute_batch(&more).unwrap();
            assert_eq!(check(&connection).is_ok(), is_known);
        }
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
            "CREATE TABLE more (text, twice/**/AS/**/(text || text))",
            "CREATE TABLE more (text \u{feff}CHECK (text > 1))",
            "CREATE TABLE more (text DEFAULT '''', more CHECK (more > 1) DEFAULT '''')",
            "CREATE TABLE more (text, twice DEFAULT (1 + 1))",
            "ALTER TABLE entries_1 ADD COLUMN more TEXT CHECK (more > 1)",
            "ALTER TABLE collections ADD COLUMN more TEXT AS (name || name)",
            "CREATE INDEX more ON entries_1 (size) WHERE size > 1",
            "CREATE INDEX more ON entries_1 (size + 1)",
            "CREATE INDEX more ON entries_1 (key LIKE key)",
            "CREATE INDEX more ON entries_1 (\"key\" || key)",
            "CREATE INDEX more ON entries_1 (abs(size))",
            "CREATE INDEX more ON entries_1 (key DESC) WHERE size > 1",
            "CREATE INDEX more ON entries_1 (key COLLATE NOCASE || key)",
        ];
        for hostile in hostile {
            let connection = file();
            connection.execute_batch(hostile).unwrap();
            assert!(check(&connection).is_err(), "{hostile}");
        }
    }
}
