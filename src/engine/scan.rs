//! `scan`: a group of entries, page by page in the order of keys. Between pages nothing is held.

use super::Engine;
use super::measure::traced;
use crate::cacheable::Cacheable;
use crate::entry::EntryInfo;
use crate::error::Error;
use crate::key::{self, MAX_KEY_CHARS};
use crate::memory::AllSeen;
use crate::row::Meta;
use crate::store::{Most, Range, Scanned, Store};
use crate::time::Timestamp;
use std::sync::Arc;
use std::vec;

/// The most rows of a page.
const ROWS: usize = 1_000;

/// A page of objects is complete with so many bytes of values.
const BYTES: u64 = 1 << 20;

/// The keys that begin with a prefix, from where one stands.
#[derive(Debug)]
pub(super) struct Group {
    /// Where the next page begins. `None` behind the last one.
    from: Option<String>,
    end: Option<String>,
}

impl Group {
    pub fn new(prefix: &str) -> Self {
        // No key is longer.
        let possible = prefix.chars().nth(MAX_KEY_CHARS).is_none();
        Self { from: possible.then(|| prefix.to_owned()), end: key::end_of(prefix) }
    }

    /// The least text that is greater than `key` is where the rest begins.
    fn pass(&mut self, key: &str) {
        self.from = Some(format!("{key}\0"));
    }
}

/// A live entry, and the row that it is.
#[derive(Debug)]
pub(super) struct Entry {
    pub info: EntryInfo,
    pub revision: i64,
}

/// A scan under way.
pub(crate) struct Scanning<I> {
    now: Timestamp,
    group: Group,
    begun: bool,
    ended: bool,
    /// What is left of the page.
    page: vec::IntoIter<I>,
}

impl Scanning<EntryInfo> {
    pub fn new(prefix: &str, now: Timestamp) -> Self {
        let (group, page) = (Group::new(prefix), Vec::new().into_iter());
        Self { now, group, begun: false, ended: false, page }
    }

    /// The rest of it, as a scan of objects.
    pub fn of_values<V>(self) -> Scanning<(String, Arc<V>)> {
        let Self { now, mut group, begun, ended, page } = self;
        if let Some(next) = page.as_slice().first() {
            group.from = Some(next.key.clone());
        }
        Scanning { now, group, begun, ended, page: Vec::new().into_iter() }
    }
}

impl<I> Scanning<I> {
    /// The next one of the page, or nothing at the end. `None` if there must be another page first.
    pub fn next(&mut self, is_closed: bool) -> Result<Option<Option<I>>, Error> {
        if self.ended {
            return Ok(Some(None));
        }
        if is_closed {
            return self.turn(Err(Error::closed())).map(|()| None);
        }
        if let Some(next) = self.page.next() {
            return Ok(Some(Some(next)));
        }
        self.ended = self.begun && self.group.from.is_none();
        Ok(self.ended.then_some(None))
    }

    /// An error is the end, as is that there are no more pages.
    fn turn(&mut self, page: Result<Option<Vec<I>>, Error>) -> Result<(), Error> {
        self.ended = !matches!(page, Ok(Some(_)));
        self.page = Vec::new().into_iter();
        self.page = page?.unwrap_or_default().into_iter();
        Ok(())
    }
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// What is known of the next live entry.
    pub async fn next_info(
        &self,
        scan: &mut Scanning<EntryInfo>,
    ) -> Result<Option<EntryInfo>, Error> {
        loop {
            if let Some(next) = scan.next(self.is_closed())? {
                return Ok(next);
            }
            self.turn_to_infos(scan).await?;
        }
    }

    /// Reads the next page.
    pub async fn turn_to_infos(&self, scan: &mut Scanning<EntryInfo>) -> Result<(), Error> {
        let page = traced!(self.span("scan", None), self.page_of_infos(scan));
        scan.turn(page)
    }

    /// The next live object.
    pub async fn next_value(
        &self,
        scan: &mut Scanning<(String, Arc<T>)>,
    ) -> Result<Option<(String, Arc<T>)>, Error> {
        loop {
            if let Some(next) = scan.next(self.is_closed())? {
                return Ok(next);
            }
            self.turn_to_values(scan).await?;
        }
    }

    /// Reads the next page.
    pub async fn turn_to_values(&self, scan: &mut Scanning<(String, Arc<T>)>) -> Result<(), Error> {
        let page = traced!(self.span("scan", None), self.page_of_values(scan));
        scan.turn(page)
    }

    async fn page_of_infos(
        &self,
        scan: &mut Scanning<EntryInfo>,
    ) -> Result<Option<Vec<EntryInfo>>, Error> {
        let _operation = self.lifecycle.enter()?;
        self.begin(scan).await?;
        let entries = self.entries(&mut scan.group, scan.now).await?;
        Ok(entries.map(|entries| entries.into_iter().map(|entry| entry.info).collect()))
    }

    /// Answers as a `get_many` of the keys that there are.
    async fn page_of_values(
        &self,
        scan: &mut Scanning<(String, Arc<T>)>,
    ) -> Result<Option<Vec<(String, Arc<T>)>>, Error> {
        let operation = self.lifecycle.enter()?;
        self.begin(scan).await?;
        let Some(rows) = self.page(&mut scan.group, BYTES).await? else { return Ok(None) };
        drop(operation);
        let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        let mut found = self.get_many(&keys, scan.now).await?;
        Ok(Some(keys.into_iter().filter_map(|key| found.remove_entry(key)).collect()))
    }

    /// Commits what waits, once.
    async fn begin<I>(&self, scan: &mut Scanning<I>) -> Result<(), Error> {
        if !std::mem::replace(&mut scan.begun, true) {
            self.commit_buffered().await?;
        }
        Ok(())
    }

    /// The next rows of a group, until they make a page. `None` behind its end.
    pub(super) async fn page(
        &self,
        group: &mut Group,
        bytes: u64,
    ) -> Result<Option<Vec<Scanned>>, Error> {
        let Some(from) = group.from.as_deref() else { return Ok(None) };
        let most = Most { rows: ROWS, bytes };
        let mut page = self.store.page(Range { from, end: group.end.as_deref() }, most).await?;
        let bytes = page.iter().map(|row| row.meta.encoded_size()).fold(0, u64::saturating_add);
        match page.last().filter(|_| most.is_reached(page.len(), bytes)) {
            Some(last) => group.pass(&last.key),
            None => group.from = None,
        }
        // Nothing in a file is believed: what is no key was never put.
        page.retain(|row| key::check(&row.key).is_ok());
        Ok(Some(page))
    }

    /// The live entries among the next rows of a group. `None` behind its end.
    pub(super) async fn entries(
        &self,
        group: &mut Group,
        now: Timestamp,
    ) -> Result<Option<Vec<Entry>>, Error> {
        let seen = self.memory.begin_look_at_all();
        let Some(rows) = self.page(group, u64::MAX).await? else { return Ok(None) };
        let mut entries = Vec::with_capacity(rows.len());
        for Scanned { key, meta, .. } in rows {
            let row = match self.recency_since(&key, &meta, &seen) {
                Some(accessed) => Some((meta, accessed)),
                None => self.look(&key).await?,
            };
            entries.extend(row.and_then(|row| self.entry(&key, row, now)));
        }
        Ok(Some(entries))
    }

    /// The entry of a row whose true recency is given, if it is alive.
    pub(super) fn entry(
        &self,
        key: &str,
        (meta, accessed): (Meta, Timestamp),
        now: Timestamp,
    ) -> Option<Entry> {
        // The same as `info` says.
        let waits = self.buffer.as_ref().and_then(|_| self.memory.unwritten(key));
        let info = match waits {
            Some(unwritten) => self.info_of_unwritten(&unwritten, now),
            None => self.info_of_row(key, &meta, accessed, now),
        };
        Some(Entry { info: info?, revision: meta.revision })
    }

    /// The true recency of a row that was read since then, unless something has ended on its key.
    fn recency_since(&self, key: &str, meta: &Meta, seen: &AllSeen) -> Option<Timestamp> {
        let known = self.memory.recency_since(key, meta.revision, seen)?;
        Some(known.map_or(meta.accessed, |known| known.max(meta.accessed)))
    }
}
