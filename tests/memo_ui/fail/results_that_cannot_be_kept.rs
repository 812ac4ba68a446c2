use disk_backed_cache::cached;
use std::thread::JoinHandle;

#[cached]
fn start() -> JoinHandle<()> {
    std::thread::spawn(|| {})
}

fn main() {}
