use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", version = "2.0.0")]
struct InOneAttribute;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", name = "user")]
#[cacheable(name = "person")]
struct InTwoAttributes;

fn main() {}
