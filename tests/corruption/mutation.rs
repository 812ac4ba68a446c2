//! Damage, chosen at random and repeatably.

use crate::bases::{Base, Files};

const PAGE: usize = 4_096;

/// Random numbers that are the same on every machine (SplitMix64).
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Damages one of the base's files, at times two, and says how.
    pub fn damage(&mut self, base: &Base, all: &[Base]) -> (Files, String) {
        let mut files = base.files.clone();
        let mut what = Vec::new();
        loop {
            let has_log = !files.log.is_empty();
            let (name, bytes) = match self.below(10) {
                0..3 if has_log => ("log", &mut files.log),
                3 if has_log => ("index", &mut files.index),
                _ => ("database", &mut files.database),
            };
            what.push(format!("{name}: {}", self.damage_bytes(bytes, all)));
            if files != base.files && !self.one_in(4) {
                return (files, what.join(", "));
            }
        }
    }

    fn damage_bytes(&mut self, bytes: &mut Vec<u8>, all: &[Base]) -> String {
        if bytes.is_empty() {
            bytes.extend((0..100).map(|_| self.next() as u8));
            return "100 random bytes".to_owned();
        }
        match self.below(16) {
            0..5 => self.flip_bits(bytes),
            5..8 => self.overwrite(bytes),
            8 => {
                let length = self.place(bytes.len());
                bytes.truncate(length);
                format!("cut off at {length}")
            }
            9 => {
                let more = 1 + self.below(2 * PAGE);
                bytes.extend((0..more).map(|_| self.next() as u8));
                format!("{more} bytes more")
            }
            10..12 => self.swap_pages(bytes),
            12 => self.duplicate_page(bytes),
            13..15 => {
                let other = self.below(all.len());
                self.splice(bytes, &all[other].files.database)
            }
            _ => self.move_bytes(bytes),
        }
    }

    /// A place in a file, often one where much hangs on every byte.
    fn place(&mut self, length: usize) -> usize {
        let place = match self.below(8) {
            0 => self.below(100),
            // The header of a page, and where its cells are.
            1..4 => self.below(length.div_ceil(PAGE)) * PAGE + self.below(64),
            _ => self.below(length),
        };
        place.min(length - 1)
    }

    fn flip_bits(&mut self, bytes: &mut [u8]) -> String {
        let places: Vec<_> =
            (0..=self.below(6)).map(|_| (self.place(bytes.len()), self.below(8))).collect();
        for (place, bit) in &places {
            bytes[*place] ^= 1 << bit;
        }
        format!("bits {places:?} flipped")
    }

    fn overwrite(&mut self, bytes: &mut [u8]) -> String {
        let from = self.place(bytes.len());
        let longest = if self.one_in(3) { 2 * PAGE } else { 32 };
        let to = (from + 1 + self.below(longest)).min(bytes.len());
        let filling = [Some(0), Some(0xff), None][self.below(3)];
        for byte in &mut bytes[from..to] {
            *byte = filling.unwrap_or_else(|| self.next() as u8);
        }
        format!("{from}..{to} overwritten")
    }

    /// The beginning of a page; the whole page lies in the file, if that has one.
    fn page(&mut self, length: usize) -> usize {
        self.below((length / PAGE).max(1)) * PAGE
    }

    fn swap_pages(&mut self, bytes: &mut [u8]) -> String {
        let (one, other) = (self.page(bytes.len()), self.page(bytes.len()));
        for offset in 0..PAGE.min(bytes.len()) {
            bytes.swap(one + offset, other + offset);
        }
        format!("pages at {one} and {other} swapped")
    }

    fn duplicate_page(&mut self, bytes: &mut [u8]) -> String {
        let (from, to) = (self.page(bytes.len()), self.page(bytes.len()));
        let length = PAGE.min(bytes.len());
        bytes.copy_within(from..from + length, to);
        format!("page at {from} copied over the one at {to}")
    }

    fn splice(&mut self, bytes: &mut [u8], other: &[u8]) -> String {
        let (from, to) = (self.page(other.len()), self.page(bytes.len()));
        let length = PAGE.min(other.len() - from).min(bytes.len() - to);
        bytes[to..to + length].copy_from_slice(&other[from..from + length]);
        format!("another file's page at {from} put at {to}")
    }

    fn move_bytes(&mut self, bytes: &mut [u8]) -> String {
        let (from, to) = (self.place(bytes.len()), self.place(bytes.len()));
        let length = (1 + self.below(200)).min(bytes.len() - from.max(to));
        bytes.copy_within(from..from + length, to);
        format!("{length} bytes at {from} copied to {to}")
    }
}
