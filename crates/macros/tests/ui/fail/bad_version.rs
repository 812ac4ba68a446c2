use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "1.0")]
struct TooShort;

#[derive(Cacheable)]
#[cacheable(version = "latest")]
struct Word;

#[derive(Cacheable)]
#[cacheable(version = "")]
struct Empty;

#[derive(Cacheable)]
#[cacheable(version = "v1.0.0")]
struct Tag;

#[derive(Cacheable)]
#[cacheable(version = "1.0.18446744073709551616")]
struct TooLarge;

fn main() {}
