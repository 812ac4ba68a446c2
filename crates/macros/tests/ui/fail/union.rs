use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0")]
union Bits {
    integer: u32,
    float: f32,
}

fn main() {}
