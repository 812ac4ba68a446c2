//! The bytes of one file: those that the disk has for certain, and what was done since.

use crate::recording::Chance;

const SECTOR: u64 = 512;

#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    synced: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Truncate { length: u64 },
}

impl Image {
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        self.since.push(Change::Write { at, bytes: bytes.to_owned() });
    }

    pub fn truncate(&mut self, length: u64) {
        self.since.push(Change::Truncate { length });
    }

    pub fn sync(&mut self) {
        for change in std::mem::take(&mut self.since) {
            apply(&mut self.synced, &change);
        }
    }

    /// What the disk has, and of what was done since, what `chance` keeps.
    pub fn after_a_cut(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.since {
            match change {
                Change::Truncate { .. } => {
                    if chance.keeps() {
                        apply(&mut bytes, change);
                    }
                }
                Change::Write { at, bytes: written } => {
                    for (at, part) in sectors(*at, written) {
                        if chance.keeps() {
                            put(&mut bytes, at, part);
                        }
                    }
                }
            }
        }
        bytes
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes: written } => put(bytes, *at, written),
        Change::Truncate { length } => bytes.truncate(*length as usize),
    }
}

/// Writes as a file system does: what lies between the end and `at` is zero.
fn put(bytes: &mut Vec<u8>, at: u64, written: &[u8]) {
    let (start, end) = (at as usize, at as usize + written.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(written);
}

/// The parts of a write that lie in one sector each.
fn sectors(at: u64, written: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = (at, written);
    std::iter::from_fn(move || {
        let (at, bytes) = rest;
        let room = (SECTOR - at % SECTOR) as usize;
        let (part, after) = bytes.split_at(room.min(bytes.len()));
        rest = (at + part.len() as u64, after);
        (!part.is_empty()).then_some((at, part))
    })
}

/// Numbers by chance, the same for the same seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_cut_at_the_bounds_of_sectors() {
        let written = vec![7; 1_100];
        let parts: Vec<_> = sectors(500, &written).map(|(at, part)| (at, part.len())).collect();
        assert_eq!(parts, [(500, 12), (512, 512), (1_024, 512), (1_536, 64)]);
    }

    #[test]
    fn what_was_synced_stays() {
        let mut image = Image::default();
        image.write(2, &[1, 2]);
        image.sync();
        image.truncate(1);
        image.write(3, &[9]);
        assert_eq!(image.after_a_cut(&mut Chance::of(crate::Cut::DropsAll)), [0, 0, 1, 2]);
        assert_eq!(image.after_a_cut(&mut Chance::of(crate::Cut::KeepsAll)), [0, 0, 0, 9]);
    }
}
