//! Folders of files: `cacache`, and one file per key by hand.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

pub fn peers() -> Vec<Peer> {
    let facts =
        |what, most_entries| Facts { batches: false, most_entries, ..Facts::store(what, UNSYNCED) };
    vec![
        Peer {
            name: "cacache",
            tiers: Tiers::Disk,
            open: |setup| Box::new(Cacache { folder: setup.folder.join("cacache") }),
            facts: facts(
                "`cacache`: content under its hash, an index file per key; at most 5,000 entries here",
                5_000,
            ),
        },
        Peer {
            name: "files",
            tiers: Tiers::Disk,
            open: files,
            facts: facts(
                "one file per key by hand, written beside and renamed; at most 20,000 here",
                20_000,
            ),
        },
    ]
}

const UNSYNCED: &str = "all of it after the process crashed; after power loss all but the latest";

struct Cacache {
    folder: PathBuf,
}

impl Contender for Cacache {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        match cacache::read_sync(&self.folder, key) {
            Ok(bytes) => Some(Customer::decode(&bytes)),
            Err(cacache::Error::EntryNotFound(..)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        cacache::write_sync(&self.folder, key, value.encode()).unwrap();
    }
}

fn files(setup: &Setup<'_>) -> Box<dyn Contender> {
    let folder = setup.folder.join("files");
    for first in 0..=u8::MAX {
        fs::create_dir_all(folder.join(format!("{first:02x}"))).unwrap();
    }
    Box::new(Files { folder })
}

/// 256 folders, by the first two digits of the key.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(&key[..2]).join(key)
    }
}

impl Contender for Files {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        match fs::read(self.path(key)) {
            Ok(bytes) => Some(Customer::decode(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        let path = self.path(key);
        let beside = path.with_extension("new");
        fs::write(&beside, value.encode()).unwrap();
        fs::rename(&beside, &path).unwrap();
    }
}
