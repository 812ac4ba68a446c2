//! The collections of one file: one by itself, or several through a [`CacheFile`].

use super::entry::Entry;
use disk_backed_cache::{Builder, CacheFile, DiskBackedCache};
use std::path::Path;

#[derive(Default)]
pub struct Collections {
    file: Option<CacheFile>,
    opened: Vec<DiskBackedCache<Entry>>,
}

impl Collections {
    /// Opens the next one of `count`.
    pub fn open(&mut self, path: &Path, count: u32, builder: Builder<Entry>) {
        let cache = if count == 1 {
            builder.open(path)
        } else {
            let file = self.file.get_or_insert_with(|| CacheFile::open(path).unwrap());
            builder.collection(format!("collection-{}", self.opened.len())).open_in(file)
        };
        self.opened.push(cache.unwrap());
    }

    pub fn all(&self) -> &[DiskBackedCache<Entry>] {
        &self.opened
    }

    /// Closes the last one, or leaves that to its being dropped. With the first one goes the file, which
    /// is closed by the one or by the other.
    pub fn close_last(&mut self, explicitly: bool) {
        let cache = self.opened.pop().expect("there is one left");
        if explicitly {
            if self.opened.is_empty() {
                self.file = None;
            }
            cache.close().unwrap();
        }
        drop(cache);
        if self.opened.is_empty() {
            self.file = None;
        }
    }
}
