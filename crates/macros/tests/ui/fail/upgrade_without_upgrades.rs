use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "2.0.0", upgrade = from_v1)]
struct User;

fn main() {}
