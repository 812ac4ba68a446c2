//! The keys that calls have.

use crate::{Runs, on_both};
use disk_backed_cache::{DiskBackedCache, MAX_KEY_CHARS, cached};
use serde::{Serialize, Serializer};
use std::any::type_name_of_val;
use std::collections::HashMap;
use std::sync::LazyLock;

static CALLS: LazyLock<DiskBackedCache<String>> =
    LazyLock::new(|| DiskBackedCache::builder().open_in_memory().unwrap());

#[cached(cache = "CALLS")]
fn one<T: Serialize + std::fmt::Debug>(argument: T) -> String {
    format!("{argument:?}")
}

#[cached(cache = "CALLS")]
fn two(first: &str, second: &str) -> String {
    format!("{first:?} {second:?}")
}

#[cached(cache = "CALLS")]
fn another(first: &str, second: &str) -> String {
    format!("another {first:?} {second:?}")
}

// rule: M5
#[test]
fn calls_that_differ_have_different_answers() {
    assert_eq!(two("a", "bc"), r#""a" "bc""#);
    assert_eq!(two("ab", "c"), r#""ab" "c""#);
    assert_eq!(two("", "abc"), r#""" "abc""#);
    assert_eq!(another("a", "bc"), r#"another "a" "bc""#);
    assert_eq!([one(None::<f64>), one(Some(f64::NAN))], ["None", "Some(NaN)"]);
    assert_eq!([one(Some(None::<u8>)), one(Some(Some(0_u8)))], ["Some(None)", "Some(Some(0))"]);
    assert_eq!([one(0.0), one(-0.0)], ["0.0", "-0.0"]);
    assert_eq!([one('1'.to_string()), one('1'.to_string() + "\0")], [r#""1""#, r#""1\0""#]);
    assert_eq!(one(vec![vec![1], vec![2, 3]]), "[[1], [2, 3]]");
    assert_eq!(one(vec![vec![1, 2], vec![3]]), "[[1, 2], [3]]");
}

/// What a generic function is called with is part of its key, also where no argument has it.
// rule: M5
#[test]
fn type_arguments_and_the_type_of_a_method_are_part_of_the_key() {
    #[cached(cache = "CALLS")]
    fn name<T>() -> String {
        std::any::type_name::<T>().to_owned()
    }

    struct Square<const SIZE: usize>;

    impl<const SIZE: usize> Square<SIZE> {
        #[cached(cache = "CALLS")]
        fn size() -> String {
            SIZE.to_string()
        }
    }

    trait Shape {
        fn shape() -> String;
    }

    impl Shape for u8 {
        #[cached(cache = "CALLS")]
        fn shape() -> String {
            "u8".to_owned()
        }
    }

    impl Shape for u16 {
        #[cached(cache = "CALLS")]
        fn shape() -> String {
            "u16".to_owned()
        }
    }

    assert_eq!([name::<u8>(), name::<u16>(), name::<u8>()], ["u8", "u16", "u8"]);
    assert_eq!([Square::<1>::size(), Square::<2>::size()], ["1", "2"]);
    assert_eq!([u8::shape(), u16::shape()], ["u8", "u16"]);
    assert_eq!([one(1_u8), one(1_u16)], ["1", "1"]);
    let prefix = format!("{}#", type_name_of_val(&one::<u8>));
    assert_eq!(CALLS.scan(&prefix).count(), 1, "{prefix}");
}

// rule: M5
#[test]
fn self_is_an_argument() {
    #[derive(Serialize)]
    struct Greeter {
        greeting: &'static str,
    }

    impl Greeter {
        #[cached(cache = "CALLS")]
        fn greet(&self, name: &str) -> String {
            format!("{}, {name}", self.greeting)
        }
    }

    let [hello, hi] = ["hello", "hi"].map(|greeting| Greeter { greeting });
    assert_eq!([hello.greet("Ada"), hi.greet("Ada")], ["hello, Ada", "hi, Ada"]);
}

// rule: M5
#[test]
fn the_order_of_a_maps_entries_is_not_part_of_the_key() {
    static RUNS: Runs = Runs::new();

    #[cached(cache = "CALLS")]
    fn sum(numbers: &HashMap<String, u32>) -> String {
        RUNS.one();
        numbers.values().sum::<u32>().to_string()
    }

    let numbers = |order: &mut dyn Iterator<Item = u32>| -> HashMap<String, u32> {
        order.map(|number| (number.to_string(), number)).collect()
    };
    // Each map has seeds of its own.
    assert_eq!(sum(&numbers(&mut (0..100))), sum(&numbers(&mut (0..100).rev())));
    assert_eq!(RUNS.count(), 1);
}

/// Modules and a function whose names are longer than a key may be.
mod a_module_whose_name_is_so_long_that_with_the_name_of_the_function_in_it {
    pub mod and_that_of_another_module_between_them_which_is_no_shorter_than_the_first_one {
        use disk_backed_cache::cached;

        #[cached(cache = "super::super::CALLS")]
        pub fn it_does_not_fit_into_a_key_any_more_and_is_cut_off_somewhere() -> String {
            String::new()
        }
    }
}

// rule: M5
#[test]
fn a_key_is_the_path_of_the_function_and_a_hash_that_is_the_same_in_every_run() {
    use a_module_whose_name_is_so_long_that_with_the_name_of_the_function_in_it as long;
    use long::and_that_of_another_module_between_them_which_is_no_shorter_than_the_first_one as it;

    #[cached(cache = "CALLS")]
    fn greet(name: &str, times: u8) -> String {
        name.repeat(times.into())
    }

    greet("a", 1);
    let key = key_of(type_name_of_val(&greet));
    // Of what `src/memo/key.rs` and `encoding.rs` say, computed by another program.
    let hash = "dd32cad2baf774bbd15177e82642e71d74fc9769fa72e3a5caad8e5ba38a3c89";
    assert_eq!(key, format!("{}#{hash}", type_name_of_val(&greet)));

    it::it_does_not_fit_into_a_key_any_more_and_is_cut_off_somewhere();
    let key = key_of("memo::keys::a_module_whose_name_is_so_long");
    assert_eq!(key.chars().count(), MAX_KEY_CHARS, "{key}");
}

/// The one key in `CALLS` that begins so.
fn key_of(prefix: &str) -> String {
    let keys = CALLS.scan(prefix).keys().collect::<Result<Vec<_>, _>>().unwrap();
    let [key] = <[String; 1]>::try_from(keys).unwrap();
    key
}

// rule: M6
#[test]
fn a_function_may_say_what_its_key_is() {
    struct User {
        id: u32,
    }

    #[cached(cache = "cache", key = "{prefix}:{number:02}")]
    fn formatted(cache: &DiskBackedCache<u32>, prefix: &str, number: u32) -> u32 {
        number
    }

    #[cached(cache = "cache", key = format!("user:{}", user.id))]
    fn computed(cache: &DiskBackedCache<u32>, user: &User) -> u32 {
        user.id
    }

    #[cached(cache = "cache", key = name)]
    fn named(cache: &DiskBackedCache<u32>, name: String) -> u32 {
        u32::from(name.into_bytes()[0])
    }

    on_both(|cache, _| {
        formatted(cache, "number", 5);
        computed(cache, &User { id: 7 });
        named(cache, "A".to_owned());
        let values = ["number:05", "user:7", "A"].map(|key| cache.get(key).unwrap().map(|it| *it));
        assert_eq!(values, [Some(5), Some(7), Some(65)]);
    });
}

// rule: M6, M9
#[test]
fn without_a_key_that_can_be_used_the_function_runs() {
    struct Unspeakable;

    impl Serialize for Unspeakable {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("nothing can be said of it"))
        }
    }

    static RUNS: Runs = Runs::new();

    #[cached(cache = "CALLS")]
    fn describe(_thing: &Unspeakable) -> String {
        RUNS.one().to_string()
    }

    #[cached(cache = "CALLS", key = String::new())]
    fn unnamed() -> String {
        RUNS.one().to_string()
    }

    let calls = [describe(&Unspeakable), describe(&Unspeakable), unnamed(), unnamed()];
    assert_eq!(calls, ["1", "2", "3", "4"]);
}
