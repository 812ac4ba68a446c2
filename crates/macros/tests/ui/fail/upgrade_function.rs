use disk_backed_cache::{Cacheable, Outdated};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "2.0.0", upgrade = not_there, upgrades = "^1.0")]
struct NoFunction;

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "2.0.0", upgrade = from_nothing, upgrades = "^1.0")]
struct NoArgument;

fn from_nothing() -> Option<NoArgument> {
    None
}

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "2.0.0", upgrade = surely, upgrades = "^1.0")]
struct NoOption;

fn surely(_old: Outdated<'_>) -> NoOption {
    NoOption
}

fn main() {}
