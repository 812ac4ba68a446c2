use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", crate = "")]
struct Empty;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", crate = "disk-backed-cache")]
struct PackageName;

fn main() {}
