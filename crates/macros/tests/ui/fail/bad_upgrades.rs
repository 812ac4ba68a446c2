use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "2.0.0", upgrade = from_v1, upgrades = "one and above")]
struct Words;

#[derive(Cacheable)]
#[cacheable(version = "2.0.0", upgrade = from_v1, upgrades = "")]
struct Empty;

#[derive(Cacheable)]
#[cacheable(version = "2.0.0", upgrade = from_v1, upgrades = "^1.0 || ^0.3")]
struct Alternatives;

fn main() {}
