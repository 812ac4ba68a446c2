//! The caches of functions that name none: one for each type of values, in one file.

use super::key;
use crate::blocking::DiskBackedCache;
use crate::cacheable::Cacheable;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "future")]
use crate::future::AsyncDiskBackedCache;
#[cfg(feature = "future")]
use crate::pool::Pool;
use crate::store::sqlite::CacheFile;
use crate::sync::RwLock;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{LazyLock, OnceLock};

/// The encoded bytes of a default cache in memory: nothing else keeps it from growing for ever.
const IN_MEMORY_BYTES: u64 = 64 << 20;

/// How many Rust types of one name (a `HashMap` and a `BTreeMap`, say) have a collection each.
const TYPES_OF_A_NAME: u32 = 4;

/// A cache that stays open until the process ends.
struct Opened<V: Cacheable> {
    blocking: DiskBackedCache<V>,
    #[cfg(feature = "future")]
    asynchronous: OnceLock<AsyncDiskBackedCache<V>>,
}

/// Where they are. Set once, by the program or by the first of them.
static FILE: OnceLock<CacheFile> = OnceLock::new();

/// Each is an `Opened` of the type.
static CACHES: LazyLock<RwLock<HashMap<TypeId, &'static (dyn Any + Send + Sync)>>> =
    LazyLock::new(RwLock::default);

static SWITCHES: OnceLock<Opened<bool>> = OnceLock::new();

/// Lets cached functions that name no cache keep their results in `file`, where other processes and later
/// runs find them. Without it they keep them in memory, at most 64 MiB of each type of values.
///
/// Each type of values has a collection of its own there, whose name begins with `memo-`; it has no limits but
/// those that [`Builder`](crate::Builder) sets by default. Call this before the first such function is
/// called, with a file opened by [`CacheFile::open`].
///
/// ```
/// use disk_backed_cache::{CacheFile, cached, memo};
///
/// #[cached]
/// fn square(number: u64) -> u64 {
///     number * number
/// }
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("cache.db");
/// let file = CacheFile::open(path)?;
/// memo::set_default_file(&file)?;
/// assert_eq!(square(12), 144);
/// assert!(memo::set_default_file(&file).is_err(), "it is in use");
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Conflict`] if that was done before, or a default cache is in use.
pub fn set_default_file(file: &CacheFile) -> Result<(), Error> {
    FILE.set(file.clone()).map_err(|_| {
        let message = "the file of the default caches is set already, or one of them was used before; \
                       set it once, before the first cached function is called";
        Error::new(ErrorKind::Conflict, message)
    })
}

/// The cache of all cached functions that name none and whose results are kept as `V`.
///
/// It stays open until the process ends; [`flush`](DiskBackedCache::flush) it before, if the file's recency
/// matters.
///
/// ```
/// use disk_backed_cache::{cached, memo};
///
/// #[cached]
/// fn shout(text: &str) -> String {
///     text.to_uppercase()
/// }
///
/// shout("hello");
/// shout("hello");
/// let cache = memo::default_cache::<String>()?;
/// assert_eq!((cache.len()?, cache.stats().memory_hits), (1, 1));
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
///
/// # Errors
/// If its collection cannot be opened; it is tried again the next time.
pub fn default_cache<V: Cacheable>() -> Result<&'static DiskBackedCache<V>, Error> {
    opened::<V>().map(|opened| &opened.blocking)
}

/// The flags of functions with `switch = ".."` that name no cache of them: in the file of the default caches,
/// a collection of its own. A flag that is false turns its functions' caching off, in all processes.
///
/// ```
/// use disk_backed_cache::{cached, memo};
///
/// #[cached(switch = "cache_configuration")]
/// fn configuration() -> String {
///     "colour = red".to_owned()
/// }
///
/// configuration();
/// memo::switches()?.put("cache_configuration", false)?;
/// configuration(); // Runs.
/// # assert_eq!(memo::default_cache::<String>()?.stats().gets, 1);
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
///
/// # Errors
/// If the collection cannot be opened.
pub fn switches() -> Result<&'static DiskBackedCache<bool>, Error> {
    opened_switches().map(|opened| &opened.blocking)
}

/// [`default_cache`], for asynchronous programs.
///
/// # Errors
/// As there.
#[cfg(feature = "future")]
pub async fn default_async_cache<V: Cacheable>() -> Result<&'static AsyncDiskBackedCache<V>, Error>
{
    let opened = match known::<V>() {
        Some(opened) => opened,
        None => Pool::new().run(async || opened::<V>()).await?,
    };
    Ok(opened.asynchronous())
}

/// [`switches`], for asynchronous programs.
///
/// # Errors
/// As there.
#[cfg(feature = "future")]
pub async fn async_switches() -> Result<&'static AsyncDiskBackedCache<bool>, Error> {
    let opened = match SWITCHES.get() {
        Some(opened) => opened,
        None => Pool::new().run(async || opened_switches()).await?,
    };
    Ok(opened.asynchronous())
}

impl<V: Cacheable> Opened<V> {
    fn new(blocking: DiskBackedCache<V>) -> Self {
        Self {
            blocking,
            #[cfg(feature = "future")]
            asynchronous: OnceLock::new(),
        }
    }

    #[cfg(feature = "future")]
    fn asynchronous(&self) -> &AsyncDiskBackedCache<V> {
        self.asynchronous.get_or_init(|| self.blocking.clone().into_async())
    }
}

fn opened<V: Cacheable>() -> Result<&'static Opened<V>, Error> {
    if let Some(opened) = known() {
        return Ok(opened);
    }
    let opened = Opened::new(open::<V>(file()?)?);
    // If somebody else was faster, that one stays, and ours is dropped after the lock.
    let kept = match CACHES.write().entry(TypeId::of::<V>()) {
        Entry::Occupied(other) => *other.get(),
        Entry::Vacant(place) => *place.insert(Box::leak(Box::new(opened))),
    };
    Ok(of_its_type(kept))
}

fn known<V: Cacheable>() -> Option<&'static Opened<V>> {
    CACHES.read().get(&TypeId::of::<V>()).copied().map(of_its_type)
}

fn of_its_type<V: Cacheable>(known: &'static (dyn Any + Send + Sync)) -> &'static Opened<V> {
    known.downcast_ref().expect("each stands under its own type")
}

fn opened_switches() -> Result<&'static Opened<bool>, Error> {
    if let Some(opened) = SWITCHES.get() {
        return Ok(opened);
    }
    let flags = DiskBackedCache::builder().collection("memo-switches").open_in(file()?)?;
    Ok(SWITCHES.get_or_init(|| Opened::new(flags)))
}

fn file() -> Result<&'static CacheFile, Error> {
    if FILE.get().is_none() {
        // If somebody else was faster, that one stays.
        FILE.set(CacheFile::open_in_memory()?).unwrap_or_else(drop);
    }
    Ok(FILE.get().expect("it was set"))
}

fn open<V: Cacheable>(file: &CacheFile) -> Result<DiskBackedCache<V>, Error> {
    let name = collection_of(&V::type_name());
    let builder = |collection: String| {
        let builder = DiskBackedCache::builder().collection(collection);
        match file.path() {
            Some(_) => builder,
            None => builder.disk_bytes(IN_MEMORY_BYTES),
        }
    };
    let first = builder(name.clone()).open_in(file);
    (2..=TYPES_OF_A_NAME).fold(first, |opened, number| match opened {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            builder(format!("{name}-{number}")).open_in(file)
        }
        opened => opened,
    })
}

/// The name of a type as one of a collection can be: what can be read of it, and a part of its hash.
fn collection_of(type_name: &str) -> String {
    let allowed = |char: char| match char.to_ascii_lowercase() {
        char @ ('a'..='z' | '0'..='9' | '_') => char,
        _ => '-',
    };
    let readable: String = type_name.chars().map(allowed).take(32).collect();
    format!("memo-{readable}-{}", &key::hexadecimal(type_name.as_bytes())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_named_after_its_type() {
        let name = collection_of("Option<Vec<Map<String, user::Änderung>>>");
        assert!(name.starts_with("memo-option-vec-map-string--user---nd-"), "{name}");
        for type_name in ["", "u8", "Map<String, Vec<Option<Map<String, String>>>>"] {
            let name = collection_of(type_name);
            let cache = DiskBackedCache::<u8>::builder().collection(format!("{name}-4"));
            assert!(cache.open_in_memory().is_ok(), "{name}");
        }
        assert_ne!(collection_of("a.b"), collection_of("a:b"));
    }

    #[test]
    fn types_of_one_name_have_a_collection_each() {
        let file = CacheFile::open_in_memory().unwrap();
        let one = open::<HashMap<String, u8>>(&file).unwrap();
        let other = open::<std::collections::BTreeMap<String, u8>>(&file).unwrap();
        one.put("a", HashMap::new()).unwrap();
        assert!(other.is_empty().unwrap());
    }
}
