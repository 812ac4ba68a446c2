use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = 1.0, name = user, upgrades = 1, crate = renamed, upgrade = "from_v1")]
struct All;

#[derive(Cacheable)]
#[cacheable(version("1.0.0"))]
struct Call;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", name)]
struct Nothing;

#[derive(Cacheable)]
#[cacheable(version = concat!("1.0", ".0"))]
struct Macro;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", upgrade = |old| old.decode(), upgrades = "^0.1")]
struct Closure;

fn main() {}
