use disk_backed_cache::cached;

#[cached]
struct Answer(u32);

fn main() {}
