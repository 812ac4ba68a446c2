//! `#[derive(Cacheable)]` and `#[cached]` for the `disk-backed-cache` crate, which re-exports them. Depend on
//! that crate, not on this one.

mod attributes;
#[cfg(feature = "cached")]
mod cached;
mod expand;
mod problems;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `Cacheable` for a struct or an enum.
///
/// The type also needs serde's `Serialize` and `Deserialize`, and must own its data.
///
/// ```
/// use disk_backed_cache::{Cacheable, Compatibility, Outdated, semver::Version};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Cacheable)]
/// #[cacheable(version = "2.0.0", name = "user", upgrade = from_v1, upgrades = "^1.0")]
/// struct User {
///     name: String,
///     age: Option<u8>,
/// }
///
/// /// The shape that versions 1.x of `User` had.
/// #[derive(Deserialize)]
/// struct UserV1 {
///     name: String,
/// }
///
/// fn from_v1(old: Outdated<'_>) -> Option<User> {
///     let UserV1 { name } = old.decode()?;
///     Some(User { name, age: None })
/// }
///
/// assert_eq!(User::type_name(), "user");
/// assert_eq!(User::schema_version(), Version::new(2, 0, 0));
/// assert_eq!(User::compatibility(&Version::new(1, 4, 0)), Compatibility::Upgrade);
/// assert_eq!(User::compatibility(&Version::new(0, 9, 0)), Compatibility::Discard);
/// ```
///
/// # Keys of `#[cacheable(..)]`
///
/// - `version = "1.0.0"`, required: the semantic version of the type's shape. Raise it when rows
///   written before can no longer be read as they are.
/// - `name = "user"`: the name under which the type is stored; by default its identifier. Give one,
///   and the type can be renamed without losing its rows. The characters `<`, `>`, `,` and `'` are
///   kept for the names of generic types.
/// - `upgrade = path::to::function` and `upgrades = "^1.0"`, always together: a
///   `fn(Outdated<'_>) -> Option<Self>`, and the semver requirement that says which stored versions
///   it is for. The type's own version is current even if it matches, and a version above it is
///   discarded even if it matches: a newer program on the same file still wants that row. Whatever
///   is neither is discarded.
/// - `crate = "path"`: where the `disk_backed_cache` crate is found, if not at
///   `::disk_backed_cache`, because the dependency was renamed or is re-exported by another crate.
///
/// All of them are checked at compile time.
///
/// # Generic types
///
/// Every type parameter is bound by `Cacheable`, and the arguments become part of the name, so that
/// two instantiations never share one: `Page<u32>` is stored as `Page<u32>`, and a `Grid<2, 3>` with
/// const parameters as `Grid<2, 3>`. The version stays the one given: raise it as well when the
/// shape of an argument changes. Lifetime parameters are refused.
///
/// ```
/// use disk_backed_cache::Cacheable;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Cacheable)]
/// #[cacheable(version = "1.0.0")]
/// struct Page<T> {
///     items: Vec<T>,
/// }
///
/// assert_eq!(Page::<Option<u32>>::type_name(), "Page<Option<u32>>");
/// ```
#[proc_macro_derive(Cacheable, attributes(cacheable))]
pub fn derive_cacheable(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::cacheable(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Keeps the results of a function in a cache, under keys that its arguments make.
///
/// Its keys and what they mean are described, with examples, in the module `memo` of `disk-backed-cache`.
///
/// Where it has a `key`, that alone tells calls apart: `key = "user"` gives all of them the result of the first one,
/// and `key = "user:{id}"` each `id` its own.
#[cfg(feature = "cached")]
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    cached::cached(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
