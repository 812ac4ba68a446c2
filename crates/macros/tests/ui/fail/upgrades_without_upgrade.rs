use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "2.0.0", upgrades = "^1.0")]
struct User;

fn main() {}
