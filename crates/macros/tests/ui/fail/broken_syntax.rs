use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(name = "user" version = "1.0.0")]
struct MissingComma;

#[derive(Cacheable)]
#[cacheable("1.0.0")]
struct Unnamed;

fn main() {}
