//! SQLite's own check of pages. What it could not read it reports as it does damage, in a row.

use super::fault;
use rusqlite::Connection;
use rusqlite::ffi::{Error, SQLITE_CORRUPT, SQLITE_IOERR};

/// Where a sound file has nothing else to say.
const SOUND: &str = "ok";

/// What SQLite says of a page of a tree that it could not read, before the code of the failure.
const UNREAD: &str = "unable to get the page. error code=";

/// The same of a page of a list, without a code.
const UNREAD_IN_A_LIST: &str = "failed to get page ";

/// What a check finds; nothing in a sound file.
///
/// # Errors
///
/// A page that could not be read is no finding.
pub(super) fn findings(connection: &Connection, check: &str) -> rusqlite::Result<Vec<String>> {
    let mut found = run(connection, check)?;
    if found.iter().any(|finding| finding.contains(UNREAD_IN_A_LIST)) {
        // For want of memory this fails where SQLite says so; and what has passed is none of the file.
        found = run(connection, check)?;
    }
    match found.iter().find_map(|finding| unread(finding)) {
        Some(error) => Err(error),
        None => Ok(found),
    }
}

/// Whether a check finds nothing.
pub(super) fn is_sound(connection: &Connection, check: &str) -> rusqlite::Result<bool> {
    Ok(findings(connection, check)?.is_empty())
}

/// Refuses what a check finds.
pub(super) fn expect_sound(connection: &Connection, check: &str) -> rusqlite::Result<()> {
    let first = findings(connection, check)?.into_iter().next();
    first.map_or(Ok(()), |finding| Err(fault::damage(finding)))
}

fn run(connection: &Connection, check: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(check)?;
    let findings = statement.query_map([], |row| row.get(0))?;
    findings.filter(|finding| finding.as_ref().map_or(true, |said| said != SOUND)).collect()
}

/// Why a page that a finding names could not be read, where it is that.
fn unread(finding: &str) -> Option<rusqlite::Error> {
    let codes = finding.lines().filter_map(|line| line.split_once(UNREAD)?.1.parse().ok());
    let code = codes.into_iter().find(|code| code & 0xff != SQLITE_CORRUPT);
    let code = code.or_else(|| finding.contains(UNREAD_IN_A_LIST).then_some(SQLITE_IOERR))?;
    Some(rusqlite::Error::SqliteFailure(Error::new(code), Some(finding.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ErrorCode;

    /// A disk that could not be read was reported as a damaged file.
    #[test]
    fn what_could_not_be_read_is_no_damage() {
        let code = |finding: &str| unread(finding).and_then(|error| error.sqlite_error_code());
        let main = "*** in database main ***\n";
        let io = Some(ErrorCode::SystemIoFailure);
        assert_eq!(code(&format!("{main}Tree 4 page 9: {UNREAD}266")), io);
        assert_eq!(code(&format!("{main}Freelist: {UNREAD_IN_A_LIST}7")), io);
        assert_eq!(code(&format!("{main}Tree 4 page 9: {UNREAD}7")), Some(ErrorCode::OutOfMemory));
        assert_eq!(code(&format!("{main}Tree 4 page 9: {UNREAD}11\n{UNREAD}266")), io);
        for damage in ["Tree 4 page 9: btreeInitPage() returns error code 11", "row 1 missing"] {
            assert_eq!(code(damage), None, "{damage}");
        }
        assert_eq!(code(&format!("{main}Tree 4 page 9: {UNREAD}11")), None);
        assert_eq!(code(&format!("{main}Tree 4 page 9: {UNREAD}99999999999")), None);
    }
}
