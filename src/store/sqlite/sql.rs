//! The statements of one collection. Its table is named by number, never by user text.

use super::row::Seed;

/// The order of the columns that describe a row; [`row`](super::row) reads them.
macro_rules! meta_columns {
    () => {
        "revision, size, created, accessed, schema_version, codec, ttl, fixed"
    };
}

/// The head of a value, of those that have one: compressed or encrypted ones. Others are not read for it.
macro_rules! head {
    () => {
        "CASE WHEN codec >= 16 THEN substr(value, 1, 8) END"
    };
}

pub(super) const READ_TOTALS: &str =
    "SELECT entries, bytes, revision FROM collections WHERE id = ?1";
pub(super) const WRITE_TOTALS: &str =
    "UPDATE collections SET entries = ?2, bytes = ?3, revision = ?4 WHERE id = ?1";
pub(super) const REPLACE_TOTALS: &str =
    "UPDATE collections SET entries = ?2, bytes = ?3, revision = ?4
     WHERE id = ?1 AND entries = ?5 AND bytes = ?6 AND revision = ?7";
pub(super) const FIND_COLLECTION: &str = "SELECT id, type_name FROM collections WHERE name = ?1";
pub(super) const ADD_COLLECTION: &str =
    "INSERT INTO collections (name, type_name, highest_version) VALUES (?1, ?2, ?3)";
pub(super) const HIGHEST_VERSION: &str = "SELECT highest_version FROM collections WHERE id = ?1";
pub(super) const RAISE_VERSION: &str = "UPDATE collections SET highest_version = ?2 WHERE id = ?1";

/// What makes a new file.
pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// All that a file has, but for what SQLite makes by itself.
pub(super) const EVERY_STATEMENT: &str =
    "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL";

/// How many columns the widest of all tables has.
pub(super) const MOST_COLUMNS: &str = "SELECT max(ncol) FROM pragma_table_list";

/// All collections of a file of format 1.
pub(super) const ALL_COLLECTIONS: &str =
    "SELECT id, name, entries, bytes, revision FROM collections NOT INDEXED ORDER BY id";
/// The column that format 1 names when it adds a collection or looks for one.
pub(super) const RENAME_VERSION: &str =
    "ALTER TABLE collections RENAME COLUMN schema_version TO highest_version";

/// Statement texts, made once; the connections keep them prepared.
#[derive(Debug)]
pub(super) struct Sql {
    /// The collection's number in the catalogue.
    pub collection: i64,
    pub seed: Seed,
    pub tags: TagSql,
    pub create: String,
    pub read: String,
    pub read_meta: String,
    pub find: String,
    pub find_at: String,
    pub insert: String,
    pub update: String,
    /// The same for an upgraded row: its creation stays, so that its tags do.
    pub rewrite: String,
    pub delete: String,
    pub touch: String,
    pub victim: String,
    pub clear: String,
    pub newest: String,
    pub keys: String,
    pub scan: String,
    pub page: String,
    pub oldest: String,
    pub ended: String,
    pub sums: String,
    pub values: String,
    pub everything: String,
    pub resize: String,
    pub has_ends: String,
    pub drop_indexes: String,
    pub create_indexes: String,
    pub reindex: String,
    pub check: String,
}

impl Sql {
    pub fn new(id: i64, seed: Seed) -> Self {
        let meta = meta_columns!();
        let head = head!();
        let table = format!("entries_{id}");
        let end = END;
        let create_indexes = indexes(id).join(";");
        Self {
            collection: id,
            seed,
            tags: TagSql::new(id),
            create: create_table(id) + ";" + &create_indexes,
            read: format!("SELECT {meta}, seal, value FROM {table} WHERE key = ?1"),
            read_meta: format!("SELECT {meta}, {head} FROM {table} WHERE key = ?1"),
            find: format!("SELECT {meta}, id FROM {table} WHERE key = ?1"),
            find_at: format!("SELECT {meta}, id, key FROM {table} WHERE id = ?1"),
            insert: format!(
                "INSERT INTO {table} (key, revision, size, created, accessed, schema_version, codec, seal, value,
                 ttl, fixed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (key) DO NOTHING"
            ),
            update: format!(
                "UPDATE {table} SET revision = ?2, size = ?3, created = ?4, accessed = ?5,
                 schema_version = ?6, codec = ?7, seal = ?8, value = ?9, ttl = ?10, fixed = ?11 WHERE id = ?1"
            ),
            rewrite: format!(
                "UPDATE {table} SET revision = ?2, size = ?3, accessed = ?5,
                 schema_version = ?6, codec = ?7, seal = ?8, value = ?9, ttl = ?10, fixed = ?11 WHERE id = ?1"
            ),
            delete: format!("DELETE FROM {table} WHERE id = ?1"),
            touch: format!("UPDATE {table} SET accessed = ?3 WHERE key = ?1 AND revision = ?2 AND accessed < ?3"),
            victim: format!(
                "SELECT {meta}, id, key FROM {table} ORDER BY accessed, key LIMIT 1"
            ),
            clear: format!("DELETE FROM {table}"),
            newest: format!("SELECT max(revision) FROM {table} NOT INDEXED WHERE revision BETWEEN ?1 AND ?2"),
            keys: format!("SELECT key, revision, id FROM {table} NOT INDEXED ORDER BY id"),
            scan: format!("SELECT {meta}, id, key FROM {table} WHERE id > ?1 ORDER BY id LIMIT ?2"),
            // Every blob is greater than all texts.
            page: format!(
                "SELECT {meta}, id, key, {head} FROM {table}
                 WHERE key >= ?1 AND key < coalesce(?2, x'') ORDER BY key"
            ),
            oldest: format!(
                "SELECT {meta}, id, key FROM {table} WHERE accessed < ?1 ORDER BY accessed, key LIMIT ?2"
            ),
            ended: format!(
                "SELECT {meta}, id, key FROM {table} WHERE ttl IS NOT NULL AND {end} < ?1
                 ORDER BY {end} LIMIT ?2"
            ),
            sums: format!("SELECT count(*), coalesce(sum(size), 0), coalesce(max(revision), 0) FROM {table}"),
            values: format!("SELECT {meta}, seal, value, id, key FROM {table} ORDER BY id"),
            everything: format!(
                "SELECT {meta}, seal, value, id, key FROM {table} NOT INDEXED ORDER BY id"
            ),
            resize: format!("UPDATE {table} SET size = ?2 WHERE id = ?1"),
            has_ends: format!(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = '{table}_ends'"
            ),
            drop_indexes: format!(
                "DROP INDEX IF EXISTS {table}_order; DROP INDEX IF EXISTS {table}_ends;"
            ),
            reindex: format!("REINDEX collections; REINDEX {table};"),
            check: format!("PRAGMA integrity_check('{table}')"),
            create_indexes,
        }
    }
}

/// When a row with a time to live of its own ends.
const END: &str = "CASE fixed WHEN 0 THEN accessed ELSE created END + ttl";

/// The statement that makes a collection's table, without its indexes.
fn create_table(id: i64) -> String {
    let table = format!("entries_{id}");
    format!(
        "CREATE TABLE {table} (
            id             INTEGER PRIMARY KEY,
            key            TEXT    NOT NULL UNIQUE,
            revision       INTEGER NOT NULL,
            size           INTEGER NOT NULL,
            created        INTEGER NOT NULL,
            accessed       INTEGER NOT NULL,
            ttl            INTEGER,
            fixed          INTEGER NOT NULL DEFAULT 0,
            schema_version TEXT    NOT NULL,
            codec          INTEGER NOT NULL,
            seal           INTEGER NOT NULL,
            value          BLOB    NOT NULL
        ) STRICT"
    )
}

fn indexes(id: i64) -> [String; 2] {
    let table = format!("entries_{id}");
    let end = END;
    [
        format!("CREATE INDEX IF NOT EXISTS {table}_order ON {table} (accessed, key)"),
        format!("CREATE INDEX IF NOT EXISTS {table}_ends ON {table} ({end}) WHERE ttl IS NOT NULL"),
    ]
}

/// The table of tags, and what belongs to it.
fn tag_parts(id: i64) -> [String; 4] {
    let table = format!("entries_{id}");
    let tags = format!("tags_{id}");
    [
        format!(
            "CREATE TABLE IF NOT EXISTS {tags} (
                tag   TEXT    NOT NULL,
                entry INTEGER NOT NULL,
                PRIMARY KEY (tag, entry)
             ) STRICT, WITHOUT ROWID"
        ),
        format!("CREATE INDEX IF NOT EXISTS {tags}_entry ON {tags} (entry)"),
        format!(
            "CREATE TRIGGER IF NOT EXISTS {tags}_gone AFTER DELETE ON {table} BEGIN
                DELETE FROM {tags} WHERE entry = OLD.id;
             END"
        ),
        format!(
            "CREATE TRIGGER IF NOT EXISTS {tags}_replaced AFTER UPDATE OF created ON {table} BEGIN
                DELETE FROM {tags} WHERE entry = OLD.id;
             END"
        ),
    ]
}

/// The statements that make the catalogue, in this format and the one before it.
pub(super) fn all_of_catalogue() -> [String; 2] {
    let (_, create) = SCHEMA.split_once('\n').unwrap_or(("", SCHEMA));
    let create = create.trim_end().trim_end_matches(';');
    [create.to_owned(), create.replace("highest_version", "schema_version")]
}

/// Those that make what a collection has, in both formats.
pub(super) fn all_of_collection(id: i64) -> Vec<String> {
    let create = create_table(id);
    let old = create.replace("seal ", "checksum ");
    [create, old].into_iter().chain(indexes(id)).chain(tag_parts(id)).collect()
}

/// Statements about the tags of a collection's entries.
#[derive(Debug)]
pub(super) struct TagSql {
    pub has_table: String,
    /// What there is already stays.
    pub create: String,
    pub insert: String,
    pub page: String,
    /// The triggers go too.
    pub clear: String,
    pub drop_parts: String,
    pub check: String,
    /// Makes the table again from what can be read of it.
    pub rebuild: String,
    pub remove_orphans: String,
    pub count_orphans: String,
}

impl TagSql {
    fn new(id: i64) -> Self {
        let meta = meta_columns!();
        let table = format!("entries_{id}");
        let tags = format!("tags_{id}");
        Self {
            has_table: format!(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '{tags}'"
            ),
            create: tag_parts(id).join(";"),
            insert: format!("INSERT OR IGNORE INTO {tags} (tag, entry) VALUES (?1, ?2)"),
            page: format!(
                "SELECT {meta}, id, key FROM {tags} CROSS JOIN {table} ON id = entry
                 WHERE tag = ?1 AND entry > ?2 ORDER BY entry LIMIT ?3"
            ),
            clear: format!(
                "DROP TRIGGER IF EXISTS {tags}_gone; DROP TRIGGER IF EXISTS {tags}_replaced;
                 DELETE FROM {tags}; DELETE FROM {table};"
            ),
            drop_parts: format!(
                "DROP TRIGGER IF EXISTS {tags}_gone; DROP TRIGGER IF EXISTS {tags}_replaced;
                 DROP INDEX IF EXISTS {tags}_entry;"
            ),
            check: format!("PRAGMA integrity_check('{tags}')"),
            rebuild: format!(
                "CREATE TABLE {tags}_rebuilt (
                    tag   TEXT    NOT NULL,
                    entry INTEGER NOT NULL,
                    PRIMARY KEY (tag, entry)
                 ) STRICT, WITHOUT ROWID;
                 INSERT OR IGNORE INTO {tags}_rebuilt SELECT tag, entry FROM {tags}
                    WHERE typeof(tag) = 'text' AND typeof(entry) = 'integer';
                 DROP TABLE {tags};
                 ALTER TABLE {tags}_rebuilt RENAME TO {tags};"
            ),
            remove_orphans: format!(
                "DELETE FROM {tags} WHERE entry NOT IN (SELECT id FROM {table} NOT INDEXED)"
            ),
            count_orphans: format!(
                "SELECT count(*) FROM {tags} WHERE entry NOT IN (SELECT id FROM {table} NOT INDEXED)"
            ),
        }
    }
}

/// Statements that bring a collection's table from format 1 to format 2.
#[derive(Debug)]
pub(super) struct OldSql {
    pub rows: String,
    pub reseal: String,
    /// Statements of format 1 that read or write a value find no column of the old name.
    pub rename: String,
}

impl OldSql {
    pub fn new(id: i64) -> Self {
        let meta = meta_columns!();
        let table = format!("entries_{id}");
        Self {
            rows: format!(
                "SELECT {meta}, checksum, value, id, key FROM {table} NOT INDEXED
                 WHERE id > ?1 ORDER BY id LIMIT ?2"
            ),
            reseal: format!("UPDATE {table} SET checksum = ?2 WHERE id = ?1"),
            rename: format!("ALTER TABLE {table} RENAME COLUMN checksum TO seal"),
        }
    }
}
