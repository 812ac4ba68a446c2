//! What a user's type promises so that it can be cached.

use crate::codec;
use crate::entry::CodecId;
use semver::Version;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

/// A type whose objects can be kept in a cache.
///
/// Implemented for primitives, `String` and `serde_json::Value`, and for `Option`, `Result`, `Box`, `Vec`
/// and maps of `Cacheable` types. For your own types derive it:
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use disk_backed_cache::Cacheable;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Cacheable)]
/// #[cacheable(version = "1.0.0")]
/// struct User {
///     name: String,
///     age: u8,
/// }
/// assert_eq!(User::type_name(), "User");
/// # }
/// ```
///
/// or write it by hand:
///
/// ```
/// use disk_backed_cache::{Cacheable, Compatibility, Outdated, semver::Version};
/// use serde::{Deserialize, Serialize};
/// use std::borrow::Cow;
///
/// #[derive(Serialize, Deserialize)]
/// struct UserV1 { name: String }
///
/// #[derive(Serialize, Deserialize)]
/// struct User { name: String, age: Option<u8> }
///
/// impl Cacheable for User {
///     fn type_name() -> Cow<'static, str> { "user".into() }
///     fn schema_version() -> Version { Version::new(2, 0, 0) }
///
///     fn compatibility(stored: &Version) -> Compatibility {
///         match stored.major {
///             2 => Compatibility::Current,
///             1 => Compatibility::Upgrade,
///             _ => Compatibility::Discard,
///         }
///     }
///
///     fn upgrade(old: Outdated<'_>) -> Option<Self> {
///         let UserV1 { name } = old.decode()?;
///         Some(User { name, age: None })
///     }
/// }
/// ```
pub trait Cacheable: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// A name for the type that is stable across builds. It is stored with the collection, and
    /// opening the collection under another name is refused.
    fn type_name() -> Cow<'static, str>;

    /// The version of the type's shape. Asked once per handle; every row stores it.
    fn schema_version() -> Version;

    /// Judges rows written under the version `stored`.
    ///
    /// By default the type's own version is current and every other one is discarded.
    #[must_use]
    fn compatibility(stored: &Version) -> Compatibility {
        if *stored == Self::schema_version() {
            Compatibility::Current
        } else {
            Compatibility::Discard
        }
    }

    /// Makes an object of the present shape from one of an older shape, for versions that
    /// [`compatibility`](Cacheable::compatibility) judged [`Compatibility::Upgrade`].
    ///
    /// `None` discards the row.
    #[must_use]
    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        let _ = old;
        None
    }
}

/// What a type can do with a row of some schema version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compatibility {
    /// It decodes as it is.
    Current,
    /// [`Cacheable::upgrade`] turns it into the present shape.
    Upgrade,
    /// It is of no use: a miss.
    Discard,
}

/// A row of an older schema version, on its way through [`Cacheable::upgrade`].
#[derive(Clone, Copy, Debug)]
pub struct Outdated<'a> {
    version: &'a Version,
    codec: CodecId,
    bytes: &'a [u8],
}

impl<'a> Outdated<'a> {
    pub(crate) fn new(version: &'a Version, codec: CodecId, bytes: &'a [u8]) -> Self {
        Self { version, codec, bytes }
    }

    /// The version of the type that wrote the row.
    #[must_use]
    pub fn version(&self) -> &'a Version {
        self.version
    }

    /// Decodes the row in its old shape, whichever codec wrote it; `None` if it has another shape.
    #[must_use]
    pub fn decode<U: DeserializeOwned>(&self) -> Option<U> {
        codec::decode(self.codec, self.bytes).ok()
    }
}

macro_rules! leaf {
    ($($type:ty = $name:literal),+ $(,)?) => {$(
        /// Version 1.0.0.
        impl Cacheable for $type {
            fn type_name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }

            fn schema_version() -> Version {
                Version::new(1, 0, 0)
            }
        }
    )+};
}

leaf! {
    bool = "bool", char = "char", f32 = "f32", f64 = "f64", String = "String", () = "()",
    i8 = "i8", i16 = "i16", i32 = "i32", i64 = "i64", i128 = "i128", isize = "isize",
    u8 = "u8", u16 = "u16", u32 = "u32", u64 = "u64", u128 = "u128", usize = "usize",
    serde_json::Value = "serde_json::Value",
}

macro_rules! container {
    ($(($($generics:tt)*) $type:ty = $name:literal of $element:ident),+ $(,)?) => {$(
        /// The element's version.
        impl<$($generics)*> Cacheable for $type {
            fn type_name() -> Cow<'static, str> {
                Cow::Owned(format!($name, $element::type_name()))
            }

            fn schema_version() -> Version {
                $element::schema_version()
            }
        }
    )+};
}

container! {
    (T: Cacheable) Option<T> = "Option<{}>" of T,
    (T: Cacheable) Vec<T> = "Vec<{}>" of T,
}

/// The version of what succeeded.
impl<T: Cacheable, E: Cacheable> Cacheable for Result<T, E> {
    fn type_name() -> Cow<'static, str> {
        Cow::Owned(format!("Result<{}, {}>", T::type_name(), E::type_name()))
    }

    fn schema_version() -> Version {
        T::schema_version()
    }
}

/// The same name, version and upgrades as its content: a box leaves no trace in a row.
impl<T: Cacheable> Cacheable for Box<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn schema_version() -> Version {
        T::schema_version()
    }

    fn compatibility(stored: &Version) -> Compatibility {
        T::compatibility(stored)
    }

    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        T::upgrade(old).map(Box::new)
    }
}

/// The version of the values.
impl<K, T, H> Cacheable for HashMap<K, T, H>
where
    K: Cacheable + Eq + Hash,
    T: Cacheable,
    H: BuildHasher + Default + Send + Sync + 'static,
{
    fn type_name() -> Cow<'static, str> {
        Cow::Owned(format!("Map<{}, {}>", K::type_name(), T::type_name()))
    }

    fn schema_version() -> Version {
        T::schema_version()
    }
}

/// The version of the values.
impl<K: Cacheable + Ord, T: Cacheable> Cacheable for BTreeMap<K, T> {
    fn type_name() -> Cow<'static, str> {
        Cow::Owned(format!("Map<{}, {}>", K::type_name(), T::type_name()))
    }

    fn schema_version() -> Version {
        T::schema_version()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_name_their_element_and_carry_its_version() {
        assert_eq!(<Vec<Option<u32>>>::type_name(), "Vec<Option<u32>>");
        assert_eq!(<Box<String>>::type_name(), "String");
        assert_eq!(<Result<u8, Vec<u8>>>::type_name(), "Result<u8, Vec<u8>>");
        assert_eq!(
            <HashMap<String, Vec<u8>>>::type_name(),
            <BTreeMap<String, Vec<u8>>>::type_name()
        );
        assert_eq!(<Vec<Option<u32>>>::schema_version(), Version::new(1, 0, 0));
    }
}
