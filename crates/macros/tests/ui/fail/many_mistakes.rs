// All of one type's mistakes come at once.
use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "one", name = "", size = 3, upgrades = "many")]
union Bits<'a> {
    integer: &'a u32,
    float: &'a f32,
}

fn main() {}
