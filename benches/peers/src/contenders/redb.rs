//! redb: copy-on-write B+trees in one file.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use ::redb::{Database, Durability, ReadableDatabase, TableDefinition};
use std::sync::Arc;

pub fn peers() -> Vec<Peer> {
    let peer = |name, open, facts| Peer { name, tiers: Tiers::Disk, open, facts };
    vec![
        peer(
            "redb",
            |setup| open(setup, Durability::Immediate),
            Facts::store("`redb`, a transaction per put", "everything, power loss included"),
        ),
        peer(
            "redb-none",
            |setup| open(setup, Durability::None),
            Facts {
                writes_only: true,
                ..Facts::store(
                    "`redb` with `Durability::None`",
                    "nothing since the last durable commit, of which it made none",
                )
            },
        ),
    ]
}

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");

fn open(setup: &Setup<'_>, durability: Durability) -> Box<dyn Contender> {
    let database = Database::create(setup.folder.join("redb.db")).unwrap();
    let store = Redb { database, durability };
    // Reading needs the table to be there.
    store.settle();
    Box::new(store)
}

struct Redb {
    database: Database,
    durability: Durability,
}

impl Contender for Redb {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        let transaction = self.database.begin_read().unwrap();
        let table = transaction.open_table(TABLE).unwrap();
        table.get(key).unwrap().map(|value| Customer::decode(value.value()))
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.write(self.durability, |insert| insert(key, &value));
    }

    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        self.write(self.durability, |insert| {
            pairs.iter().for_each(|(key, value)| insert(key, value));
        });
    }

    fn settle(&self) {
        self.write(Durability::Immediate, |_| ());
    }
}

impl Redb {
    fn write(&self, durability: Durability, puts: impl FnOnce(&mut dyn FnMut(&str, &Customer))) {
        let mut transaction = self.database.begin_write().unwrap();
        transaction.set_durability(durability).unwrap();
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            puts(&mut |key, customer| {
                table.insert(key, customer.encode().as_slice()).unwrap();
            });
        }
        transaction.commit().unwrap();
    }
}
