use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", name = "")]
struct Empty;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", name = " ")]
struct Blank;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", name = "Page<User>")]
struct LikeAGeneric;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0", name = "User, old")]
struct LikeTwo;

fn main() {}
