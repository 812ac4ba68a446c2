use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", colour = "red")]
struct Unknown;

#[derive(Cacheable)]
#[cacheable(Version = "1.0.0")]
struct Capital;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", cacheable::name = "user", nested(one, two), flag)]
struct NotEvenPairs;

fn main() {}
