//! Tables of figures.

use super::sections::{Beside, Section};
use crate::contender::Peer;
use crate::results::{Results, Spread};
use crate::scenarios::{Unit, scenarios};

/// The table of a section: a row for each contender that was measured, the quickest first.
pub fn section(section: &Section, results: &Results, peers: &[Peer]) -> String {
    let mut table = head(section);
    for peer in ranked(section, results, peers) {
        let name = if is_ours(peer) { format!("**{}**", peer.name) } else { peer.name.to_owned() };
        table += &format!("| {name} |");
        for &(scenario, _) in section.columns {
            let cell = results.of(peer.name, scenario).map(|spread| cell(unit(scenario), spread));
            table += &format!(" {} |", cell.unwrap_or_default());
        }
        table += &beside(section, results, peer);
        table += "\n";
    }
    table
}

fn head(section: &Section) -> String {
    let mut names = vec!["contender"];
    names.extend(section.columns.iter().map(|(_, head)| head));
    names.extend(match section.beside {
        Beside::Semantics => &["what is evicted", "TTL"][..],
        Beside::Crash => &["survives a crash, as documented", "found after an abort"][..],
        Beside::Replay => &["hits", "p50", "p99", "p99.9", "what is evicted"][..],
    });
    format!("| {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len()))
}

fn beside(section: &Section, results: &Results, peer: &Peer) -> String {
    let facts = &peer.facts;
    match section.beside {
        Beside::Semantics => format!(" {} | {} |", facts.eviction, facts.ttl),
        Beside::Crash => {
            let found = results.of(peer.name, "crash");
            let found = found.map(|found| format!("{:.1} %", found.median)).unwrap_or_default();
            format!(" {} | {found} |", with_dropped(section, results, peer))
        }
        Beside::Replay => {
            let seen = |name| results.extra(peer.name, section.columns[0].0, name);
            let hits = seen("hit_ratio").map(|ratio| format!("{:.2} %", ratio * 100.0));
            let mut cells = vec![hits.unwrap_or_default()];
            cells.extend(
                ["p50", "p99", "p99.9"].map(|name| seen(name).map(time).unwrap_or_default()),
            );
            cells.push(facts.eviction.to_owned());
            format!(" {} |", cells.join(" | "))
        }
    }
}

/// What is documented of a crash, and the puts that were dropped without one.
fn with_dropped(section: &Section, results: &Results, peer: &Peer) -> String {
    let kept = section.columns.iter().find_map(|(name, _)| results.extra(peer.name, name, "kept"));
    match kept {
        Some(kept) if kept < 1.0 => {
            format!("{}; of these puts it dropped {:.0} %", peer.facts.crash, (1.0 - kept) * 100.0)
        }
        _ => peer.facts.crash.to_owned(),
    }
}

/// The contenders of a section, by their first figure.
pub fn ranked<'p>(section: &Section, results: &Results, peers: &'p [Peer]) -> Vec<&'p Peer> {
    let first = |peer: &Peer| {
        let mut columns = section.columns.iter().enumerate();
        columns.find_map(|(index, (name, _))| Some((index, results.of(peer.name, name)?.median)))
    };
    let mut ranked: Vec<(&Peer, (usize, f64))> =
        peers.iter().filter_map(|peer| Some((peer, first(peer)?))).collect();
    ranked.sort_by(|(_, a), (_, b)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    ranked.into_iter().map(|(peer, _)| peer).collect()
}

/// What each contender is.
pub fn contenders(peers: &[Peer]) -> String {
    let mut table =
        "| contender | what it is | bounded on disk | what is evicted | TTL | survives a \
                     crash, as documented |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for Peer { name, tiers, facts, .. } in peers {
        let bounded = match (tiers.has_disk(), facts.bounds_disk) {
            (false, _) => "no disk",
            (true, true) => "yes",
            (true, false) => "no",
        };
        let (what, eviction, ttl, crash) = (facts.what, facts.eviction, facts.ttl, facts.crash);
        table += &format!("| {name} | {what} | {bounded} | {eviction} | {ttl} | {crash} |\n");
    }
    table
}

pub fn is_ours(peer: &Peer) -> bool {
    peer.name.starts_with("ours")
}

pub fn unit(scenario: &str) -> Unit {
    let mut scenarios = scenarios().into_iter();
    scenarios.find(|other| other.name == scenario).expect("there is this scenario").unit
}

fn cell(unit: Unit, spread: Spread) -> String {
    let [low, median, high] =
        [spread.low, spread.median, spread.high].map(|value| quantity(unit, value));
    format!("**{median}** ({low} .. {high})")
}

/// A figure with its unit.
pub fn quantity(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Nanos => time(value),
        Unit::Bytes => format!("{value:.0} B"),
        Unit::Percent => format!("{value:.1} %"),
    }
}

/// A time with its unit.
pub fn time(nanos: f64) -> String {
    let (scaled, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        1e3..1e6 => (nanos / 1e3, "µs"),
        1e6..1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    let decimals =
        if scaled < 10.0 && unit != "ns" { 2 } else { usize::from(scaled < 100.0 && unit != "ns") };
    format!("{scaled:.decimals$} {unit}")
}
