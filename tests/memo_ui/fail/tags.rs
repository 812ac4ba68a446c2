// No entry has an empty tag.
use disk_backed_cache::cached;

#[cached(tag = "numbers", tag = "")]
fn double(number: u32) -> u32 {
    number * 2
}

fn main() {}
