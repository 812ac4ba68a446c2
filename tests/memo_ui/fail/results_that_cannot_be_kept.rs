use disk_backed_cache::cached;
use std::thread::JoinHandle;

#[cached]
fn start() -> JoinHandle<()> {
    std::thread::spawn(|| {})
}

#[cached]
fn text<'a>() -> Result<&'a str, String> {
    Ok("text")
}

fn main() {}
