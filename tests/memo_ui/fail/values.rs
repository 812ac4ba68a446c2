// A key that is to have a value says which, and empty keys are none.
use disk_backed_cache::cached;

#[cached(cache, ttl, if, switches, crate, switch = "")]
fn double(number: u32) -> u32 {
    number * 2
}

#[cached(key)]
fn triple(number: u32) -> u32 {
    number * 3
}

#[cached(key = "")]
fn half(number: u32) -> u32 {
    number / 2
}

fn main() {}
