//! The page that tells what was measured.

mod charts;
mod growth;
mod sections;
mod tables;

use crate::contenders::peers;
use crate::machine::Machine;
use crate::results::Results;
use sections::{Chart, SECTIONS};
use std::fs;
use std::path::Path;

/// Writes `docs/performance.md` and `docs/performance/*.svg`.
pub fn write() {
    let (results, peers) = (Results::load(), peers());
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let folder = docs.join("performance");
    fs::create_dir_all(&folder).unwrap();

    let mut page = head(&results.machine, results.repetitions());
    for section in SECTIONS.iter().filter(|section| section.is_measured(&results, &peers)) {
        page += &format!("\n## {}\n\n{}\n\n", section.title, wrapped(section.about));
        page += &tables::section(section, &results, &peers);
        if let Some(note) = section.note(&results, &peers) {
            page += &format!("\n{note}\n");
        }
        let path = folder.join(format!("{}.svg", section.file));
        match section.chart {
            Chart::Bars => charts::bars(&path, section, &results, &peers),
            Chart::Curves(sizes) => charts::curves(&path, section, sizes, &results, &peers),
        }
        page += &format!("\n![{}](performance/{}.svg)\n", section.title, section.file);
    }
    page += &growth::chapter(&results, &folder.join("growth.svg"));
    page += "\n## The contenders\n\n";
    page += &tables::contenders(&peers);
    fs::write(docs.join("performance.md"), page).unwrap();
}

/// The same text in lines of at most a hundred characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= 100 {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

fn head(machine: &Machine, (least, most): (usize, usize)) -> String {
    let Machine { cpu, cores, memory_gib, kernel, rustc } = machine;
    let machine = wrapped(&format!(
        "Measured on: {cpu}, {cores} cores, {memory_gib:.0} GiB of memory, {kernel}, {rustc}."
    ));
    format!(
        "# Performance

The cache beside other caches and stores. Every figure is the median of {least} to {most}
processes, with the quartiles behind it; each process measures one contender in one scenario, and the
contenders take turns. Less is better, unless a table says otherwise. Keys have 16 characters; memory holds
`Arc`s of separate objects, and disks hold their JSON, which is decoded at every get. Keys and their
order are made before the clock runs.

This page is written by a program. To measure all of it again (more than an hour), or a part
in a minute, and to write the page:

```sh
cargo run --release --manifest-path benches/peers/Cargo.toml -- run
cargo run --release --manifest-path benches/peers/Cargo.toml -- run ours moka hit-zipf
cargo run --release --manifest-path benches/peers/Cargo.toml -- report
```

{machine}
"
    )
}
