use disk_backed_cache::cached;

struct Connection;

#[cached]
fn version(connection: &Connection) -> u32 {
    let Connection = connection;
    7
}

fn main() {}
