//! `#[derive(Cacheable)]` through the public API: names, versions, verdicts, upgrades.

#![cfg(feature = "derive")]

use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, Compatibility, DiskBackedCache, ErrorKind, Outdated};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn verdict<T: Cacheable>(stored: &str) -> Compatibility {
    T::compatibility(&version(stored))
}

/// Opens the file's default collection, without a thread of its own.
fn open<T: Cacheable>(path: &Path) -> Result<DiskBackedCache<T>, disk_backed_cache::Error> {
    DiskBackedCache::builder().background_maintenance(false).open(path)
}

/// Leaves `value` under the key `key` in the file, as a program of another day would have.
fn leave<T: Cacheable>(path: &Path, value: T) {
    let cache = open(path).unwrap();
    cache.put("key", value).unwrap();
    cache.close().unwrap();
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.2.3")]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0")]
enum Shape {
    Dot,
    Circle(f64),
    Polygon { corners: Vec<Point> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0")]
struct Page<T> {
    items: Vec<T>,
}

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "3.1.0", name = "dictionary")]
struct Dictionary<K: Eq + std::hash::Hash, V = String>
where
    V: Clone,
{
    words: std::collections::HashMap<K, V>,
}

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0")]
struct Grid<T, const WIDTH: usize, const HEIGHT: i8 = -1, const LETTER: char = 'a'> {
    cells: Vec<T>,
}

/// The type `user` as it was, as it is, and as it will be.
mod user {
    use super::*;

    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "0.9.0", name = "user")]
    pub struct V0 {
        pub full_name: String,
    }

    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "1.4.0", name = "user")]
    pub struct V1 {
        pub name: String,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "2.0.0", name = "user", upgrade = from_v1, upgrades = ">=1.0.0, <=2.0.0")]
    pub struct V2 {
        pub name: String,
        pub seen_version: String,
    }

    fn from_v1(old: Outdated<'_>) -> Option<V2> {
        let V1 { name } = old.decode()?;
        (name != "nobody").then(|| V2 { name, seen_version: old.version().to_string() })
    }

    /// Of the same version as `V2`, but unable to upgrade anything.
    #[derive(Debug, PartialEq, Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "2.0.0", name = "user")]
    pub struct V2WithoutUpgrade {
        pub name: String,
        pub seen_version: String,
    }

    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "3.0.0", name = "user")]
    pub struct V3 {
        pub names: Vec<String>,
    }
}

#[test]
fn the_name_is_the_identifier_unless_one_is_given() {
    assert_eq!(Point::type_name(), "Point");
    assert_eq!(Shape::type_name(), "Shape");
    assert_eq!(user::V2::type_name(), "user");
}

#[test]
#[expect(non_camel_case_types, reason = "only keywords need to be raw")]
fn a_raw_identifier_is_named_without_its_prefix() {
    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "1.0.0")]
    struct r#type<r#const>(r#const);

    assert_eq!(r#type::<u8>::type_name(), "type<u8>");
}

#[test]
fn a_name_may_hold_whatever_the_code_around_it_could_stumble_over() {
    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "1.0.0", name = r#"{0} "müller\" {}"#)]
    struct Odd;

    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "1.0.0", name = r#"{0} "müller\" {}"#)]
    struct OddOf<T>(T);

    assert_eq!(Odd::type_name(), r#"{0} "müller\" {}"#);
    assert_eq!(OddOf::<u8>::type_name(), r#"{0} "müller\" {}<u8>"#);
}

#[test]
fn the_version_is_the_one_given_with_all_its_parts() {
    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "1.0.0-rc.1")]
    struct Candidate;

    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "0.0.0+2024-02-29")]
    struct Nightly;

    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "18446744073709551615.0.1-alpha-with-a-long-name.7+build.7")]
    struct Everything;

    assert_eq!(Point::schema_version(), Version::new(1, 2, 3));
    assert_eq!(Candidate::schema_version(), version("1.0.0-rc.1"));
    assert_eq!(Nightly::schema_version(), version("0.0.0+2024-02-29"));
    assert_eq!(
        Everything::schema_version(),
        version("18446744073709551615.0.1-alpha-with-a-long-name.7+build.7")
    );
}

#[test]
fn without_upgrades_every_other_version_is_discarded() {
    assert_eq!(verdict::<Point>("1.2.3"), Compatibility::Current);
    for other in ["1.2.2", "1.2.4", "1.3.0", "2.0.0", "0.0.0", "1.2.3-rc.1", "1.2.3+build"] {
        assert_eq!(verdict::<Point>(other), Compatibility::Discard, "{other}");
    }
}

#[test]
fn versions_that_meet_the_requirement_are_upgraded() {
    for older in ["1.0.0", "1.4.0", "1.99.0+build"] {
        assert_eq!(verdict::<user::V2>(older), Compatibility::Upgrade, "{older}");
    }
    for other in ["0.9.9", "2.0.1", "3.0.0", "1.4.0-rc.1"] {
        assert_eq!(verdict::<user::V2>(other), Compatibility::Discard, "{other}");
    }
}

#[test]
fn the_own_version_is_current_although_it_meets_the_requirement() {
    assert_eq!(verdict::<user::V2>("2.0.0"), Compatibility::Current);
}

#[test]
fn a_generic_type_is_named_with_its_arguments() {
    assert_eq!(Page::<u8>::type_name(), "Page<u8>");
    assert_eq!(Page::<Page<Option<Shape>>>::type_name(), "Page<Page<Option<Shape>>>");
    assert_eq!(Page::<user::V1>::type_name(), "Page<user>");
    assert_eq!(Dictionary::<String>::type_name(), "dictionary<String, String>");
    assert_eq!(Dictionary::<u8, Page<u8>>::type_name(), "dictionary<u8, Page<u8>>");
}

#[test]
fn const_arguments_are_part_of_the_name() {
    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "1.0.0")]
    struct Flag<const ON: bool>;

    assert_eq!(Grid::<u8, 3>::type_name(), "Grid<u8, 3, -1, 'a'>");
    assert_eq!(Grid::<Flag<true>, 3, 4, '\''>::type_name(), r"Grid<Flag<true>, 3, 4, '\''>");
    assert_ne!(Flag::<true>::type_name(), Flag::<false>::type_name());
}

#[test]
fn the_version_of_a_generic_type_is_its_own() {
    assert_eq!(Page::<Point>::schema_version(), Version::new(1, 0, 0));
    assert_eq!(Dictionary::<String>::schema_version(), Version::new(3, 1, 0));
}

#[test]
fn keys_may_be_spread_over_attributes() {
    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(name = "spread")]
    #[cacheable(version = "1.0.0")]
    #[cacheable()]
    struct Spread;

    assert_eq!(Spread::type_name(), "spread");
    assert_eq!(Spread::schema_version(), Version::new(1, 0, 0));
}

#[test]
fn a_macro_may_write_the_attribute() {
    macro_rules! cacheable {
        ($type:ident, $version:literal, $name:expr, $upgrade:path) => {
            #[derive(Serialize, Deserialize, Cacheable)]
            #[cacheable(version = $version, name = $name, upgrade = $upgrade, upgrades = "*")]
            struct $type;

            impl $type {
                fn from_any(_old: Outdated<'_>) -> Option<Self> {
                    Some($type)
                }
            }
        };
    }
    cacheable!(Made, "7.0.0", "made", Made::from_any);

    assert_eq!(Made::type_name(), "made");
    assert_eq!(verdict::<Made>("1.0.0"), Compatibility::Upgrade);
}

#[test]
fn a_row_of_a_newer_program_is_never_upgraded_downwards() {
    // It would be rewritten in an older shape, and the newer program still wants it.
    assert_eq!(verdict::<Minor>("1.1.0"), Compatibility::Upgrade);
    assert_eq!(verdict::<Minor>("1.2.0"), Compatibility::Current);
    assert_eq!(verdict::<Minor>("1.5.0"), Compatibility::Discard);
}

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.2.0", upgrade = minor, upgrades = "^1.0")]
struct Minor;

fn minor(_old: Outdated<'_>) -> Option<Minor> {
    Some(Minor)
}

/// The derive works where the names of the prelude mean something else.
mod shadowing {
    use disk_backed_cache::{Cacheable, Outdated};
    use serde::{Deserialize, Serialize};

    macro_rules! shadow {
        ($($name:ident)+) => {
            $(
                #[expect(dead_code, reason = "it is there to be in the way")]
                struct $name;
            )+
        };
    }
    shadow! { Option Some None Result Ok Err String Cow Vec Box Default From Into Fn Compatibility }

    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "1.0.0-rc.1+7", upgrade = never, upgrades = "^0.1")]
    pub struct Page<T, const N: usize> {
        pub item: T,
    }

    fn never<T, const N: usize>(_old: Outdated<'_>) -> ::core::option::Option<Page<T, N>> {
        ::core::option::Option::None
    }
}

#[test]
fn shadowed_names_do_not_get_in_the_way() {
    assert_eq!(shadowing::Page::<u8, 2>::type_name(), "Page<u8, 2>");
    assert_eq!(shadowing::Page::<u8, 2>::schema_version(), version("1.0.0-rc.1+7"));
    assert_eq!(verdict::<shadowing::Page<u8, 2>>("0.1.5"), Compatibility::Upgrade);
}

/// The derive finds the crate under another name, and inside another crate.
mod elsewhere {
    use disk_backed_cache as renamed;
    use serde::{Deserialize, Serialize};

    pub mod facade {
        pub use disk_backed_cache as cache;
    }

    #[derive(Serialize, Deserialize, renamed::Cacheable)]
    #[cacheable(version = "1.0.0", crate = "renamed")]
    pub struct Renamed<T>(pub T);

    #[derive(Serialize, Deserialize, facade::cache::Cacheable)]
    #[cacheable(
        version = "2.0.0",
        crate = "crate::elsewhere::facade::cache",
        upgrade = Self::from_v1,
        upgrades = "^1.0"
    )]
    pub struct Reexported(pub u8);

    impl Reexported {
        fn from_v1(old: renamed::Outdated<'_>) -> Option<Self> {
            old.decode().map(Reexported)
        }
    }
}

#[test]
fn the_crate_may_have_another_name() {
    assert_eq!(elsewhere::Renamed::<elsewhere::Reexported>::type_name(), "Renamed<Reexported>");
    assert_eq!(verdict::<elsewhere::Reexported>("1.0.0"), Compatibility::Upgrade);
}

#[test]
fn derived_types_come_back_from_the_file_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let shapes = || Page {
        items: vec![
            Shape::Dot,
            Shape::Circle(0.5),
            Shape::Polygon { corners: vec![Point { x: 1, y: -1 }] },
        ],
    };
    leave(&path, shapes());

    let cache = open::<Page<Shape>>(&path).unwrap();
    assert_eq!(cache.get("key").unwrap(), Some(Arc::new(shapes())));
    assert_eq!(cache.info("key").unwrap().unwrap().schema_version, Version::new(1, 0, 0));
}

#[test]
fn instantiations_of_one_type_do_not_open_each_others_collections() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    leave(&path, Page { items: vec![1_u8] });

    let error = open::<Page<u16>>(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    assert_eq!(*open::<Page<u8>>(&path).unwrap().get("key").unwrap().unwrap().items, [1]);
}

#[test]
fn a_row_of_an_older_version_is_upgraded_when_it_is_read_and_stays_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    leave(&path, user::V1 { name: "Ada".to_owned() });

    let cache = open::<user::V2>(&path).unwrap();
    let expected = user::V2 { name: "Ada".to_owned(), seen_version: "1.4.0".to_owned() };
    assert_eq!(cache.get("key").unwrap(), Some(Arc::new(expected)));
    let stats = cache.stats();
    assert_eq!((stats.disk_hits, stats.schema_mismatches, stats.puts), (1, 0, 0));
    assert_eq!(cache.info("key").unwrap().unwrap().schema_version, Version::new(2, 0, 0));
    cache.close().unwrap();

    let expected =
        user::V2WithoutUpgrade { name: "Ada".to_owned(), seen_version: "1.4.0".to_owned() };
    let cache = open::<user::V2WithoutUpgrade>(&path).unwrap();
    assert_eq!(cache.get("key").unwrap(), Some(Arc::new(expected)));
}

#[test]
fn a_row_that_the_upgrade_refuses_is_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    leave(&path, user::V1 { name: "nobody".to_owned() });

    let cache = open::<user::V2>(&path).unwrap();
    assert_eq!(cache.get("key").unwrap(), None);
    assert_eq!(cache.stats().schema_mismatches, 1);
    assert_eq!(cache.len().unwrap(), 0);
}

#[test]
fn rows_of_versions_outside_the_requirement_are_misses() {
    let folder = tempfile::tempdir().unwrap();
    let older = folder.path().join("older.db");
    leave(&older, user::V0 { full_name: "Ada".to_owned() });
    let newer = folder.path().join("newer.db");
    leave(&newer, user::V3 { names: vec!["Ada".to_owned()] });

    for (path, left) in [(older, 0), (newer, 1)] {
        let cache = open::<user::V2>(&path).unwrap();
        assert_eq!(cache.get("key").unwrap(), None, "{}", path.display());
        assert_eq!(cache.stats().schema_mismatches, 1, "{}", path.display());
        assert_eq!(cache.len().unwrap(), left, "{}", path.display());
    }
}
