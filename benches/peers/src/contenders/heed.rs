//! heed: LMDB, a memory-mapped B+tree.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use ::heed::types::{Bytes, Str};
use ::heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};
use std::sync::Arc;

pub fn peers() -> Vec<Peer> {
    let peer = |name, open, facts| Peer { name, tiers: Tiers::Disk, open, facts };
    vec![
        peer(
            "heed",
            |setup| open(setup, EnvFlags::empty()),
            Facts::store("`heed` (LMDB), a transaction per put", "everything, power loss included"),
        ),
        peer(
            "heed-nosync",
            |setup| open(setup, EnvFlags::NO_SYNC),
            Facts {
                writes_only: true,
                ..Facts::store(
                    "`heed` with `NO_SYNC`",
                    "all of it after the process crashed; after power loss the file may be damaged",
                )
            },
        ),
    ]
}

/// Address space for the map, more than any scenario stores.
const MAP_BYTES: usize = 8 << 30;

#[expect(unsafe_code, reason = "heed has no other way to open a memory-mapped file")]
fn open(setup: &Setup<'_>, flags: EnvFlags) -> Box<dyn Contender> {
    let flags = if setup.filling { EnvFlags::NO_SYNC } else { flags };
    let folder = setup.folder.join("heed");
    std::fs::create_dir_all(&folder).unwrap();
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES);
    // SAFETY: `NO_SYNC` gives up durability only, and nothing here relies on that.
    unsafe { options.flags(flags) };
    // SAFETY: the folder belongs to this process; nothing else writes to the mapped file.
    let env = unsafe { options.open(&folder) }.unwrap();
    let transaction = env.write_txn().unwrap();
    let created = env.create_databases_and_commit(transaction, |opener, transaction| {
        opener.create_database(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
    });
    let entries = created.unwrap().unwrap_commit();
    Box::new(Heed { env, entries })
}

struct Heed {
    env: Env,
    entries: Database<'static, Str, Bytes>,
}

impl Contender for Heed {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        let transaction = self.env.read_txn().unwrap();
        self.entries.get(&transaction, key).unwrap().map(Customer::decode)
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        let mut transaction = self.env.write_txn().unwrap();
        self.entries.put(&mut transaction, key, &value.encode()).unwrap();
        transaction.commit().unwrap();
    }

    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        let mut transaction = self.env.write_txn().unwrap();
        for (key, value) in pairs {
            self.entries.put(&mut transaction, &key, &value.encode()).unwrap();
        }
        transaction.commit().unwrap();
    }

    fn settle(&self) {
        self.env.force_sync().unwrap();
    }
}
