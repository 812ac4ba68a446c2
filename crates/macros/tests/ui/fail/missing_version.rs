use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(name = "user")]
struct User;

#[derive(Cacheable)]
#[cacheable()]
struct Empty;

#[derive(Cacheable)]
#[cacheable]
struct Bare;

fn main() {}
