use disk_backed_cache::cached;

#[cached(result)]
fn one() -> Option<u32> {
    None
}

#[cached(option)]
fn other() -> Result<u32, String> {
    Ok(1)
}

fn main() {}
