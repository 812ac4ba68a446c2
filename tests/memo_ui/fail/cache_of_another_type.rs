use disk_backed_cache::{DiskBackedCache, cached};
use std::sync::LazyLock;

static NAMES: LazyLock<DiskBackedCache<String>> =
    LazyLock::new(|| DiskBackedCache::builder().open_in_memory().unwrap());

#[cached(cache = "NAMES")]
fn seven() -> u32 {
    7
}

fn main() {}
