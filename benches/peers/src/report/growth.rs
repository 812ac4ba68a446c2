//! The last chapter: how cost grows with the number of entries, and where one file ends.

use super::charts::{self, LINES, Line};
use super::tables::{quantity, time};
use super::wrapped;
use crate::results::Results;
use crate::scenarios::Unit;
use std::path::Path;

/// The scenarios, with their sizes.
const SIZES: [(&str, f64); 5] = [
    ("growth-1k", 1e3),
    ("growth-10k", 1e4),
    ("growth-100k", 1e5),
    ("growth-1m", 1e6),
    ("growth-10m", 1e7),
];

/// What the sizes lead to.
const GOAL: f64 = 1e9;

const OURS: &str = "ours";
const BY_HAND: &str = "rusqlite";

/// A column of the table.
struct Cost {
    /// Among the extras of a sample; the value itself has no name.
    name: &'static str,
    head: &'static str,
    unit: Unit,
    /// Whether the cache does it and the table by hand does not.
    ours_alone: bool,
}

const COSTS: [Cost; 8] = [
    cost("hit", "memory hit", Unit::Nanos, true),
    cost("", "disk hit", Unit::Nanos, false),
    cost("put", "put", Unit::Nanos, false),
    cost("evict", "put that evicts", Unit::Nanos, false),
    cost("write-back", "writing back a use", Unit::Nanos, true),
    cost("open", "open and get one", Unit::Nanos, false),
    cost("resident", "memory of the process", Unit::Bytes, false),
    cost("stored", "on disk, an entry", Unit::Bytes, false),
];

const fn cost(name: &'static str, head: &'static str, unit: Unit, ours_alone: bool) -> Cost {
    Cost { name, head, unit, ours_alone }
}

/// The chapter, with its chart at `path`. Nothing if nothing of it was measured.
pub fn chapter(results: &Results, path: &Path) -> String {
    let sizes: Vec<f64> = measured(results).iter().map(|&(_, size)| size).collect();
    if sizes.is_empty() {
        return String::new();
    }
    let title = "What operations cost over files of many sizes";
    charts::lines(path, title, Unit::Nanos, &sizes, &lines(results));
    let mut page = format!("\n## Growth\n\n{}\n\n", wrapped(ABOUT));
    page += &table(results, OURS);
    page += &format!("\n{}\n\n", wrapped("The same by hand (`rusqlite`):"));
    page += &table(results, BY_HAND);
    page += "\n![Growth](performance/growth.svg)\n";
    for paragraph in [growth(results), far(results), writers(results)].into_iter().flatten() {
        page += &format!("\n{}\n", wrapped(&paragraph));
    }
    page
}

const ABOUT: &str = "Small objects of about 90 bytes of JSON, put ten thousand at a time under keys \
    without order, so that every batch writes all over the index of keys. Each process works on a copy \
    of such a file, which the operating system has in its cache. Hits in memory \
    are of a thousand objects, with room for ten thousand; for the rest the memory tier is switched off. Disk hits are spread evenly \
    over all rows. They only note when a row was used; what it takes to write that to the file later \
    stands apart. Puts are of new keys, one by one; for those that evict, the tier holds as many as it \
    may. The table by hand has SQLite's own page cache of 2 MB, the cache one of 64 MiB for each \
    connection.";

fn measured(results: &Results) -> Vec<(&'static str, f64)> {
    SIZES.into_iter().filter(|(scenario, _)| results.of(OURS, scenario).is_some()).collect()
}

fn figure(results: &Results, contender: &str, scenario: &str, name: &str) -> Option<f64> {
    match name {
        "" => results.of(contender, scenario).map(|spread| spread.median),
        name => results.extra(contender, scenario, name),
    }
}

fn table(results: &Results, contender: &str) -> String {
    let costs = || COSTS.iter().filter(|cost| contender == OURS || !cost.ours_alone);
    let heads: Vec<&str> = costs().map(|cost| cost.head).collect();
    let mut table =
        format!("| entries | {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len() + 1));
    let is_measured = |scenario: &str| results.of(contender, scenario).is_some();
    for (scenario, size) in measured(results).into_iter().filter(|(name, _)| is_measured(name)) {
        let figure = |cost: &Cost| figure(results, contender, scenario, cost.name);
        let cells: Vec<String> =
            costs().map(|cost| figure(cost).map_or_else(String::new, |v| shown(cost, v))).collect();
        table += &format!("| {} | {} |\n", grouped(size), cells.join(" | "));
    }
    table
}

fn shown(cost: &Cost, value: f64) -> String {
    if cost.unit == Unit::Bytes && value >= 1e6 { bytes(value) } else { quantity(cost.unit, value) }
}

fn lines(results: &Results) -> Vec<Line> {
    let line = |contender: &str, cost: &Cost, label, colour, width| Line {
        label,
        colour,
        width,
        points: measured(results)
            .into_iter()
            .filter_map(|(name, size)| Some((size, figure(results, contender, name, cost.name)?)))
            .collect(),
    };
    let mut lines = Vec::new();
    let times = COSTS.iter().filter(|cost| cost.unit == Unit::Nanos);
    for (cost, colour) in times.zip(LINES) {
        lines.push(line(OURS, cost, cost.head.to_owned(), colour, 3));
        if !cost.ours_alone {
            lines.push(line(BY_HAND, cost, format!("{}, by hand", cost.head), colour, 1));
        }
    }
    lines.retain(|line| !line.points.is_empty());
    lines
}

/// What a thousand times the entries did to each cost.
fn growth(results: &Results) -> Option<String> {
    let measured = measured(results);
    let (&(first, few), &(last, many)) = (measured.first()?, measured.last()?);
    let changes = COSTS.iter().filter(|cost| cost.unit == Unit::Nanos).filter_map(|cost| {
        let of = |scenario| figure(results, OURS, scenario, cost.name);
        let (before, after) = (of(first)?, of(last)?);
        Some(format!(
            "{} from {} to {} ({})",
            cost.head,
            time(before),
            time(after),
            times(after / before)
        ))
    });
    Some(format!(
        "From {} to {} entries, {} as many, the costs go as follows: {}. What grows does so with the \
         depth of SQLite's trees and with the share of their pages that a connection does not hold: \
         a get of a row reads two pages at random, one of the index of keys and one of the table; a \
         put writes one at random, of the index of keys. Memory is that of the page caches and of the \
         tier, and no structure in it grows with the file.",
        grouped(few),
        grouped(many),
        times(many / few),
        changes.collect::<Vec<_>>().join("; ")
    ))
}

/// What the figures say about [`GOAL`] entries.
fn far(results: &Results) -> Option<String> {
    let measured = measured(results);
    let [.., (before, fewer), (last, many)] = measured[..] else { return None };
    let decades = (many / fewer).log10();
    let further = (GOAL / many).log10();
    let guess = |name| {
        let (low, high) =
            (figure(results, OURS, before, name)?, figure(results, OURS, last, name)?);
        Some(time(high + ((high - low) / decades * further).max(0.0)))
    };
    let stored = figure(results, OURS, last, "stored")?;
    Some(format!(
        "What that says about {goal} entries is an extrapolation, not a measurement. The file would \
         have {size}; its index of keys about {deeper} levels instead of {levels}, of which all but the \
         lowest fit in memory. If each further power of ten adds what the last one did, a disk hit takes \
         {disk_hit}, a put {put} and a put that evicts {evict}, as long as the file is in the operating \
         system's cache. Where it is not, a disk hit waits for two readings of the device besides, a \
         put for one, a put that evicts for up to three; the device's latency then is the cost, and the \
         number of entries hardly matters any more. Opening reads a few pages, however many there are.",
        goal = grouped(GOAL),
        size = bytes(stored * GOAL),
        deeper = levels(GOAL),
        levels = levels(many),
        disk_hit = guess("")?,
        put = guess("put")?,
        evict = guess("evict")?,
    ))
}

/// Pages from the root of the index of keys to a leaf. A cell has a key of 16 bytes, a row's number and
/// some bytes of its own; a page that fills up at random is full by ln 2.
fn levels(entries: f64) -> f64 {
    const CELL_BYTES: f64 = 16.0 + 5.0 + 6.0;
    let fan_out = 4_096.0 * std::f64::consts::LN_2 / CELL_BYTES;
    (entries.ln() / fan_out.ln()).ceil()
}

/// Where one writer is not enough, and what several files give.
fn writers(results: &Results) -> Option<String> {
    let nanos = |contender: &str, scenario: &str| results.of(contender, scenario).map(|s| s.median);
    let [one, two, eight] =
        ["put-threads-1", "put-threads-2", "put-threads-8"].map(|scenario| nanos(OURS, scenario));
    let (one, two, eight) = (one?, two?, eight?);
    let replaced = nanos(OURS, "put-threads-1-replaced")? / nanos(OURS, "put-threads-8-replaced")?;
    let files = |scenario: &str| Some(nanos(OURS, scenario)? / nanos("ours-4-files", scenario)?);
    let (four, four_replaced) = (files("put-threads-8")?, files("put-threads-8-replaced")?);
    let cores = results.machine.cores;
    let verdict = if four.min(four_replaced) > 1.1 {
        "So several files, each key in the one that its hash names, are the next step when that is \
         not enough; what they cost is that each has its own limits and its own order of eviction, \
         and that a batch is one thing within each file only. When one machine is not enough either, \
         it takes a remote store."
    } else {
        "So on this machine several files are no way past that wall: what is left is fewer and larger \
         batches, `Durability::Buffered`, or a remote store."
    };
    Some(format!(
        "A file has one writer at a time: that is the wall. One thread that puts one new object after \
         the other commits {one} a second, two threads {two}, and eight {eight}, {together} as many as \
         one ({replaced} where they replace objects), because writers that wait share a commit. Four \
         files with the same eight threads take {four} the puts of one file, {four_replaced} where they \
         replace. {verdict} These figures come from {cores} cores, on which at most {cores} writers \
         work at once: they show whether one file's writer keeps a machine from using its cores, not \
         what more cores would give.",
        one = rate(one),
        two = rate(two),
        together = times(one / eight),
        eight = rate(eight),
        replaced = times(replaced),
        four = times(four),
        four_replaced = times(four_replaced),
    ))
}

/// Operations a second.
fn rate(nanos: f64) -> String {
    // No more digits than such a figure has.
    grouped((1e9 / nanos / 100.0).round() * 100.0)
}

fn times(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.1} times") } else { format!("{} times", grouped(ratio)) }
}

fn bytes(value: f64) -> String {
    match value {
        ..1e9 => format!("{:.0} MB", value / 1e6),
        ..1e10 => format!("{:.1} GB", value / 1e9),
        _ => format!("{:.0} GB", value / 1e9),
    }
}

/// A whole number with commas.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let places = digits.len();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (places - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
