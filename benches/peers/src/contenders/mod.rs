//! Everything that is compared, in the order of the tables.

mod cached;
mod combined;
mod files;
mod fjall;
mod foyer;
mod heed;
mod memory;
mod ours;
mod redb;
mod rusqlite;
mod sled;

use crate::contender::Peer;

/// Every contender.
pub fn peers() -> Vec<Peer> {
    let mut peers = ours::peers();
    peers.extend(memory::peers());
    peers.extend(rusqlite::peers());
    peers.extend(redb::peers());
    peers.extend(fjall::peers());
    peers.extend(sled::peers());
    peers.extend(heed::peers());
    peers.extend(cached::peers());
    peers.extend(files::peers());
    peers.extend(combined::peers());
    peers.extend(foyer::peers());
    peers
}
