use disk_backed_cache::Cacheable;

#[derive(Cacheable)]
#[cacheable(version = "1.0.0")]
struct Borrowed<'name, 'bytes: 'name, T> {
    name: &'name str,
    bytes: &'bytes [T],
}

#[derive(Cacheable)]
#[cacheable(version = "1.0.0")]
enum MaybeBorrowed<'a> {
    Nothing,
    Text(&'a str),
}

fn main() {}
