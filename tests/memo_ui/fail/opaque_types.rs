use disk_backed_cache::cached;

#[cached]
fn show(thing: impl ToString) -> String {
    thing.to_string()
}

#[cached]
fn thing() -> impl ToString {
    7
}

#[cached]
const fn seven() -> u32 {
    7
}

fn main() {}
