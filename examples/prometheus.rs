//! Publishes what a cache does through the crate `metrics`, for Prometheus.
//!
//! ```text
//! cargo run --release --example prometheus --features metrics
//! ```
//!
//! prints the text that Prometheus would be served. To serve it, give `metrics-exporter-prometheus` its feature
//! `http-listener` and replace the two lines about the recorder by
//!
//! ```text
//! PrometheusBuilder::new().with_http_listener(([127, 0, 0, 1], 9000)).install()?;
//! ```
//!
//! or answer `GET /metrics` of a server that the program has anyway with what `PrometheusHandle::render` returns.
//!
//! The cache's background thread publishes every few seconds by itself. Whoever wants counters as of now calls
//! `publish_metrics` before `render`, as here; nothing is counted twice by it. Useful queries:
//!
//! ```text
//! sum without (tier) (rate(disk_backed_cache_hits_total[5m]))
//!   / (sum without (tier) (rate(disk_backed_cache_hits_total[5m])) + rate(disk_backed_cache_misses_total[5m]))
//! histogram_quantile(0.99, rate(disk_backed_cache_operation_duration_seconds_bucket{operation="get"}[5m]))
//! ```

use disk_backed_cache::{Cacheable, DiskBackedCache};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use serde::{Deserialize, Serialize};
use std::error::Error;

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0")]
struct Page {
    title: String,
    words: u64,
}

/// From a hit in the system's page cache to a disk that is busy.
const SECONDS: [f64; 9] = [5e-6, 2e-5, 1e-4, 5e-4, 2e-3, 1e-2, 5e-2, 0.25, 1.0];

fn main() -> Result<(), Box<dyn Error>> {
    let durations = Matcher::Suffix("_seconds".to_owned());
    let exporter = PrometheusBuilder::new().set_buckets_for_metric(durations, &SECONDS)?;
    let handle = exporter.install_recorder()?;

    let cache = DiskBackedCache::<Page>::builder()
        .memory_entries(100)
        .disk_entries(500)
        .collection("pages")
        .open_in_memory()?;
    // Few pages are popular, and most are asked for once.
    for request in 0..3_000_u64 {
        let number = if request % 3 == 0 { request } else { request % 50 };
        let key = format!("page:{number}");
        cache.get_or_insert_with(&key, || Page { title: key.clone(), words: number })?;
    }

    cache.publish_metrics();
    print!("{}", handle.render());
    Ok(())
}
