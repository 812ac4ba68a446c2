//! What the program prints.

use crate::summary::Summary;
use disk_backed_cache::Stats;
use indicatif::{HumanBytes, HumanCount};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const LARGEST: usize = 10;
const MOST_IMPORTED: usize = 5;
const SHOWN_SKIPPED: usize = 5;

/// The outcome of the whole run; its `Display` is the program's output.
pub struct Report {
    pub root: PathBuf,
    pub index: Index,
    pub passes: Vec<Pass>,
    pub stats: Stats,
    pub took: Duration,
}

/// What is known of the files after a pass.
#[derive(Default)]
pub struct Index {
    pub summaries: Vec<Arc<Summary>>,
    /// Files that could not be looked at, and why.
    pub skipped: Vec<String>,
}

/// What a pass cost, and where its summaries came from.
pub struct Pass {
    pub took: Duration,
    /// The part of `took` that went into finding the files.
    pub walked: Duration,
    /// Files whose summary was computed, because the cache had none that still held.
    pub computed: u64,
    pub memory_hits: u64,
    pub disk_hits: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_largest(f)?;
        self.write_totals(f)?;
        self.write_skipped(f)?;
        self.write_passes(f)?;
        write_stats(f, &self.stats)?;
        writeln!(f, "\nTook {:.1?}, opening and closing the cache included.", self.took)
    }
}

impl Report {
    fn write_largest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut largest: Vec<&Summary> = self.index.summaries.iter().map(Arc::as_ref).collect();
        largest.sort_by_key(|summary| (Reverse(summary.lines), &summary.source.path));
        largest.truncate(LARGEST);
        writeln!(
            f,
            "{:>9} {:>11} {:>9} {:>7} {:>7}  {:<36} file",
            "lines", "size", "functions", "types", "imports", "longest function (lines)"
        )?;
        for summary in largest {
            let longest = summary.longest_function.as_ref().map_or_else(String::new, |function| {
                format!("{} ({})", function.name, count(function.lines))
            });
            writeln!(
                f,
                "{:>9} {:>11} {:>9} {:>7} {:>7}  {longest:<36} {}",
                count(summary.lines),
                HumanBytes(summary.source.size).to_string(),
                count(summary.functions),
                count(summary.types.all()),
                count(summary.imports.len()),
                self.relative(summary).display()
            )?;
        }
        Ok(())
    }

    fn write_totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = |number: fn(&Summary) -> usize| {
            count(self.index.summaries.iter().map(|summary| number(summary)).sum())
        };
        writeln!(f, "\n{} files below {}", count(self.index.summaries.len()), self.root.display())?;
        writeln!(f, "  {} lines, {} functions", total(|s| s.lines), total(|s| s.functions))?;
        writeln!(
            f,
            "  {} structs, {} enums, {} unions, {} traits, {} type aliases",
            total(|s| s.types.structs),
            total(|s| s.types.enums),
            total(|s| s.types.unions),
            total(|s| s.types.traits),
            total(|s| s.types.aliases)
        )?;
        write!(f, "  {} imports", total(|s| s.imports.len()))?;
        for (index, (path, times)) in self.most_imported().into_iter().enumerate() {
            let before = if index == 0 { ", most often" } else { "," };
            write!(f, "{before} {path} ({})", count(times))?;
        }
        writeln!(f, "\n  {} files do not parse", total(|s| usize::from(s.parse_error.is_some())))
    }

    fn most_imported(&self) -> Vec<(&str, usize)> {
        let mut times = HashMap::new();
        for path in self.index.summaries.iter().flat_map(|summary| &summary.imports) {
            *times.entry(path.as_str()).or_default() += 1;
        }
        let mut most: Vec<_> = times.into_iter().collect();
        most.sort_by_key(|&(path, times)| (Reverse(times), path));
        most.truncate(MOST_IMPORTED);
        most
    }

    fn write_skipped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = &self.index.skipped;
        if skipped.is_empty() {
            return Ok(());
        }
        writeln!(f, "  {} skipped:", count(skipped.len()))?;
        for line in skipped.iter().take(SHOWN_SKIPPED) {
            writeln!(f, "    {line}")?;
        }
        if skipped.len() > SHOWN_SKIPPED {
            writeln!(f, "    and {} more", count(skipped.len() - SHOWN_SKIPPED))?;
        }
        Ok(())
    }

    fn write_passes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:>9} {:>11} {:>11} {:>9} {:>12} {:>10}",
            "pass", "time", "of it walk", "computed", "memory hits", "disk hits"
        )?;
        for (index, pass) in self.passes.iter().enumerate() {
            writeln!(
                f,
                "{:>9} {:>11.1?} {:>11.1?} {:>9} {:>12} {:>10}",
                index + 1,
                pass.took,
                pass.walked,
                HumanCount(pass.computed).to_string(),
                HumanCount(pass.memory_hits).to_string(),
                HumanCount(pass.disk_hits).to_string()
            )?;
        }
        Ok(())
    }

    fn relative<'a>(&self, summary: &'a Summary) -> &'a Path {
        let path = Path::new(&summary.source.path);
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

fn write_stats(f: &mut fmt::Formatter<'_>, stats: &Stats) -> fmt::Result {
    let ratio =
        stats.hit_ratio().map_or_else(String::new, |ratio| format!("{:.1} %", ratio * 100.0));
    let rows = [
        ("gets", HumanCount(stats.gets).to_string()),
        ("memory hits", HumanCount(stats.memory_hits).to_string()),
        ("disk hits", HumanCount(stats.disk_hits).to_string()),
        ("misses", HumanCount(stats.misses).to_string()),
        ("hit ratio", ratio),
        ("puts", HumanCount(stats.puts).to_string()),
        ("expired", HumanCount(stats.disk_expirations).to_string()),
        ("of another version", HumanCount(stats.schema_mismatches).to_string()),
        ("in memory", tier(stats.memory_entries, stats.memory_bytes)),
        ("on disk", tier(stats.disk_entries, stats.disk_bytes)),
    ];
    writeln!(f, "\nStatistics of the cache")?;
    rows.iter().try_for_each(|(name, value)| writeln!(f, "  {name:<18} {value:>9}"))
}

fn tier(entries: u64, bytes: u64) -> String {
    format!("{:>9} entries, {}", HumanCount(entries).to_string(), HumanBytes(bytes))
}

fn count(number: usize) -> String {
    HumanCount(number as u64).to_string()
}
