//! Functions that remember their results: `#[cached]` (feature `memo`).
//!
//! ```
//! use disk_backed_cache::cached;
//!
//! #[cached]
//! fn letters(text: &str) -> usize {
//!     text.chars().filter(|char| char.is_alphabetic()).count()
//! }
//!
//! assert_eq!(letters("two words"), 8); // Runs.
//! assert_eq!(letters("two words"), 8); // Does not.
//! # assert_eq!(disk_backed_cache::memo::default_cache::<usize>()?.stats().loads, 1);
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! It goes on functions and on methods with `&self` or without, `async` ones too (with the feature `future`).
//! The result must be [`Cacheable`](crate::Cacheable) and `Clone`, or an `Arc` of something `Cacheable`. Of all
//! who make the same call at the same time, one runs the function, and all have its result.
//!
//! # What is kept
//!
//! Of a `Result` what succeeded, of an `Option` what is there, of a `Result` of an `Option` both: an error, or
//! nothing, is the answer to those who called together, and whoever calls later runs the function again.
//! (Those who waited have the error too, if its type can be cloned and sent; otherwise they run the function
//! themselves, and what comes of that is not kept.) The compiler judges the type, so aliases of `Result` do as well.
//!
//! ```
//! use disk_backed_cache::{DiskBackedCache, cached};
//! use std::num::ParseIntError;
//! use std::sync::LazyLock;
//!
//! static NUMBERS: LazyLock<DiskBackedCache<u32>> =
//!     LazyLock::new(|| DiskBackedCache::builder().disk_entries(1_000).open_in_memory().unwrap());
//!
//! #[cached(cache = "NUMBERS", ttl = "1h", key = "number:{text}")]
//! fn number(text: &str) -> Result<u32, ParseIntError> {
//!     text.parse()
//! }
//!
//! assert!(number("seven").is_err() && NUMBERS.is_empty()?);
//! assert_eq!((number("7"), NUMBERS.get("number:7")?.as_deref()), (Ok(7), Some(&7)));
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! On a cache with [`fail_safe`](crate::Builder::fail_safe) a call whose body returns an `Err` or `None` that is not kept
//! answers with the result that was kept before, an `Ok` or `Some`, if that has not expired too long ago.
//! `refresh_ahead`, `stale_while_revalidate` and the load timeouts do nothing for functions: a body may borrow its
//! arguments, and so runs where it is called, for as long as it takes.
//!
//! # Keys of `#[cached(..)]`
//!
//! All can be left out.
//!
//! - `cache = "NUMBERS"`: an expression for the cache, a [`DiskBackedCache`](crate::DiskBackedCache) of what is
//!   kept or anything that dereferences to one, an `AsyncDiskBackedCache` for an `async` function; `self.cache`
//!   in a method. Without it, see [`default_cache`]. Arguments taken by value cannot be borrowed from here.
//! - `key = "number:{text}"`: the key, as a format string over the arguments, or, without quotes, an expression
//!   for a text: `key = user.id()`. It is the whole key: functions that share a cache must not share it, and calls
//!   whose arguments it leaves out have one result. (Arguments that are patterns have no name here.)
//! - `ttl = "1h"`: how long a result lives after it was last asked for; `fixed_ttl = "1h"`: after it was made.
//!   See [`PutOptions`](crate::PutOptions). As text (`"1h 30min"`, `"250ms"`) or, without quotes, as an
//!   expression for a `Duration`.
//! - `tag = "user:{user}"`: a tag of the result, by which `delete_tag` finds it; a format string or an expression for a
//!   text, as `key` is. Give it several times for several tags. See [below](#results-that-are-dropped-together).
//! - `result`: errors are kept, too, and so the cache is one of the whole `Result`; `option`: `None` is. (As
//!   `cache_err` and `cache_none` do in the crate `cached`, in whose old versions `result` and `option` meant
//!   the opposite, which is what happens here without them.)
//! - `if = "!text.is_empty()"`: the call is cached only where this is so; otherwise the function runs, and
//!   nothing is kept.
//! - `switch = "cache_numbers"`: the same by a flag that is kept in a cache of `bool`, under this key (a format
//!   string or expression, as `key` is), so that it outlives the process and holds for all that share the file. It
//!   is on while there is no flag. The cache is [`switches`], or what `switches = "EXPRESSION"` names.
//! - `crate = "path"`: where the `disk_backed_cache` crate is found, if not at `::disk_backed_cache`.
//!
//! # Methods and `async` functions
//!
//! A method may name a cache in `self`. Without a `key`, `self` would be part of the key, and need `Serialize`.
//!
//! ```
//! use disk_backed_cache::{DiskBackedCache, cached};
//!
//! struct Shop {
//!     prices: DiskBackedCache<usize>,
//! }
//!
//! impl Shop {
//!     #[cached(cache = "self.prices", key = "price:{article}")]
//!     fn price(&self, article: &str) -> usize {
//!         article.len() // Asks the supplier, say.
//!     }
//! }
//!
//! let shop = Shop { prices: DiskBackedCache::builder().open_in_memory()? };
//! assert_eq!([shop.price("tea"), shop.price("tea")], [3, 3]);
//! assert_eq!(shop.prices.stats().loads, 1);
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! The cache of an `async` function is an asynchronous one. Its body runs where the call is polled, and so in the
//! caller's runtime.
//!
//! ```
//! # #[cfg(feature = "future")]
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use disk_backed_cache::{AsyncDiskBackedCache, DiskBackedCache, cached};
//!
//! #[cached(cache = "pages", key = "page:{path}", ttl = "1h")]
//! async fn page(pages: &AsyncDiskBackedCache<String>, path: &str) -> Result<String, String> {
//!     tokio::task::yield_now().await; // Fetches it, say.
//!     path.strip_prefix('/').map(str::to_owned).ok_or_else(|| format!("there is no {path}"))
//! }
//!
//! let pages = DiskBackedCache::builder().open_in_memory()?.into_async();
//! for _ in 0..2 {
//!     assert_eq!(page(&pages, "/home").await.as_deref(), Ok("home"));
//!     assert!(page(&pages, "home").await.is_err());
//! }
//! assert_eq!((pages.stats().loads, pages.stats().load_failures), (1, 2));
//! # Ok::<(), disk_backed_cache::Error>(())
//! # }).unwrap();
//! ```
//!
//! # The key of a call
//!
//! Without `key`, it is the path of the function, `#`, and a SHA-256 of these:
//!
//! - the path: modules, the type that a method is of, type arguments of generic functions, as the compiler
//!   names them (of a very long one only the beginning is readable in the key);
//! - the arguments' types as they are written, and their values, as serde sees them, `self` among them.
//!
//! So arguments implement serde's `Serialize`, and values that it makes different never share a key: not
//! `("a", "bc")` and `("ab", "c")`, `1_u8` and `1_u16`, `None` and NaN. The order of a map's entries is not part
//! of it. That of a `HashSet` would be, for serde takes it for a list, and it is refused; nested in other types
//! it leads to calls that are not found again, never to a wrong answer. What serde skips is not part of the key
//! either.
//!
//! Two functions of one name in two blocks of the same function have one path: give each a `key`. So have those
//! of two versions of one crate in one program.
//!
//! Nor is the function's body part of it: a change of what it computes needs another `key`, another version of the
//! result's type, or
//!
//! ```
//! # use disk_backed_cache::{cached, memo};
//! # #[cached]
//! # fn letters(text: &str) -> usize {
//! #     text.len()
//! # }
//! # letters("two words");
//! let path = std::any::type_name_of_val(&letters);
//! let removed = memo::default_cache::<usize>()?.delete_prefix(&format!("{path}#"))?;
//! assert_eq!(removed, 1);
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! # Results that are dropped together
//!
//! All of one user, whatever the functions and their other arguments were:
//!
//! ```
//! use disk_backed_cache::{DiskBackedCache, cached};
//! use std::sync::LazyLock;
//!
//! static PAGES: LazyLock<DiskBackedCache<String>> =
//!     LazyLock::new(|| DiskBackedCache::builder().open_in_memory().unwrap());
//!
//! #[cached(cache = "PAGES", tag = "user:{user}")]
//! fn profile(user: &str) -> String {
//!     format!("About {user}")
//! }
//!
//! #[cached(cache = "PAGES", tag = "user:{user}", tag = "orders", ttl = "1h")]
//! fn order(user: &str, number: u32) -> String {
//!     format!("Order {number} of {user}")
//! }
//!
//! (profile("ada"), order("ada", 1), order("ada", 2), order("bob", 1));
//! assert_eq!(PAGES.delete_tag("user:ada")?, 3);
//! assert_eq!(PAGES.delete_tag("orders")?, 1);
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! What a call makes while its tag is dropped is its answer, and is not kept.
//!
//! # When the cache fails
//!
//! The function runs, and a warning goes to `tracing`: a full disk, or a closed cache, is never an error of the
//! function. So it does with a key or a tag that is no text of 1 to 256 characters.

mod call;
#[cfg(feature = "future")]
mod call_async;
mod encoding;
mod key;
mod kinds;
mod outcome;
mod registry;

#[cfg(feature = "future")]
pub use registry::{async_switches, default_async_cache};
pub use registry::{default_cache, set_default_file, switches};

/// What expansions of `#[cached]` name. Not for use by hand, and free to change.
#[doc(hidden)]
pub mod expansion {
    pub use super::call::{call, call_default, is_on, is_on_default};
    #[cfg(feature = "future")]
    pub use super::call_async::{
        body, call_async, call_default_async, is_on_async, is_on_default_async,
    };
    pub use super::key::{Key, key_of};
    pub use super::kinds::{successes, with_both, with_errors, with_none};
    pub use super::outcome::Kind;
}

#[cfg(test)]
mod tests;
