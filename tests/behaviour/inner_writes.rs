//! H4 of operations that code of a type does in the midst of another one.

use crate::support::{Bench, on_both};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Builder, Cacheable, Removal};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cell::RefCell;
use std::mem::take;
use std::sync::{Arc, Mutex};

thread_local! {
    /// What the type's code is to do next.
    static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

fn meanwhile() {
    if let Some(work) = MEANWHILE.take() {
        work();
    }
}

#[derive(Debug)]
struct Busy(u32);

impl Serialize for Busy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        meanwhile();
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Busy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        meanwhile();
        u32::deserialize(deserializer).map(Self)
    }
}

impl Cacheable for Busy {
    fn type_name() -> Cow<'static, str> {
        "busy".into()
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

/// The keys that listeners were told of.
type Told = Arc<Mutex<Vec<String>>>;

fn hears<T: Cacheable>(told: &Told, builder: Builder<T>) -> Builder<T> {
    let told = Arc::clone(told);
    builder.eviction_listener(move |removal: Removal<T>| told.lock().unwrap().push(removal.key))
}

fn tells_at_once(bench: &Bench) {
    let told = Told::default();
    let other = bench.cache::<u32>(|b| hears(&told, b.collection("other")));
    let cache =
        bench.cache::<Busy>(|b| hears(&told, b.verify_round_trip(false).row_cache_bytes(0)));
    cache.put("stored", Busy(1)).unwrap();
    for key in ["stored", "new"] {
        other.put("a", 1).unwrap();
        cache.put("b", Busy(1)).unwrap();
        cache.evict_memory();
        let (others, own, told) = (other.clone(), cache.clone(), Arc::clone(&told));
        MEANWHILE.set(Some(Box::new(move || {
            let told = || take(&mut *told.lock().unwrap());
            assert!(others.delete("a").unwrap());
            assert_eq!(told(), ["a"]);
            assert!(own.delete("b").unwrap());
            assert_eq!(told(), ["b"]);
        })));
        assert_eq!(
            cache.get_or_insert_with(key, || Busy(2)).unwrap().0,
            u32::from(key == "new") + 1
        );
        assert!(MEANWHILE.take().is_none(), "it was done");
    }
}

/// A load keeps what it has to tell until those who wait for it are answered. What its type's code removed meanwhile, with
/// operations of their own, was kept as well, even if it was another cache's, and told long after these had returned.
// rule: H4, O30
#[test]
fn what_is_removed_in_the_midst_of_a_load_is_told_before_that_removal_returns() {
    on_both(tells_at_once);
}
