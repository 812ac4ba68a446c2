//! The two sides of a figure, compared.
//!
//! A shared machine is never as fast as it was a moment ago. So the two sides run in turn, each pair
//! of runs gives one ratio, and the table tells the median of them with its quartiles.

use super::FIGURES;
use super::figure::{Asked, Figure, Pair, Side, folder};
use std::time::Duration;

/// Prints the table of the figures whose name has `part` in it.
pub fn print(part: &str) {
    println!("| figure | asked | measured | quartiles | one operation | beside |");
    println!("|---|---|---|---|---|---|");
    for figure in FIGURES.iter().filter(|figure| figure.name.contains(part)) {
        let folder = folder();
        let pair = (figure.prepare)(folder.path());
        println!("{}", row(figure, pair));
    }
}

fn row(figure: &Figure, mut pair: Pair) -> String {
    let (mut firsts, mut seconds, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // Caches fill and statements are prepared in the first round.
    turn(&mut pair, figure.operations, true);
    for round in 0..figure.rounds {
        let (first, second) = turn(&mut pair, figure.operations, round % 2 == 0);
        firsts.push(first);
        seconds.push(second);
        ratios.push(first.as_secs_f64() / second.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let (asked, kept) = match figure.asked {
        Asked::AtMost(bound) => (format!("≤ {bound:.1}"), median(&ratios) <= bound),
        Asked::AtLeast(bound) => (format!("≥ {bound:.1}"), median(&ratios) >= bound),
    };
    format!(
        "| {} | {asked} | **{:.2}**{} | {:.2} .. {:.2} | {} | {}: {} |",
        figure.name,
        median(&ratios),
        if kept { "" } else { " MISSED" },
        ratios[ratios.len() / 4],
        ratios[ratios.len() * 3 / 4],
        typical(firsts, figure.operations),
        pair.second.name,
        typical(seconds, figure.operations),
    )
}

/// Runs both sides once, the first one first in every other round.
fn turn(pair: &mut Pair, operations: u64, in_order: bool) -> (Duration, Duration) {
    let run = |side: &mut Side| (side.run)(operations);
    if in_order {
        let first = run(&mut pair.first);
        (first, run(&mut pair.second))
    } else {
        let second = run(&mut pair.second);
        (run(&mut pair.first), second)
    }
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// The median time of one operation.
fn typical(mut times: Vec<Duration>, operations: u64) -> String {
    times.sort();
    let nanos = times[times.len() / 2].as_nanos() as f64 / operations as f64;
    if nanos < 1_000.0 { format!("{nanos:.0} ns") } else { format!("{:.1} µs", nanos / 1_000.0) }
}
