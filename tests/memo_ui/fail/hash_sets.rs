use disk_backed_cache::cached;
use std::collections::HashSet;

#[cached]
fn count(words: Vec<HashSet<String>>) -> usize {
    words.len()
}

fn main() {}
