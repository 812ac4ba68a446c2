// All of one function's mistakes come at once.
use disk_backed_cache::cached;

#[cached(ttl = "soon", fixed_ttl = "0s", colour = "red", result = true, switches = "FLAGS")]
fn double(number: u32) -> u32 {
    number * 2
}

fn main() {}
