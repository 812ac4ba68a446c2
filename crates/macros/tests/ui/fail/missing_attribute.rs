use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
struct User;

fn main() {}
