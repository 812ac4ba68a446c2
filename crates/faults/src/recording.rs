//! What reached the files of a run, and the images that a power cut could leave of them.

use crate::image::{Image, Random};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Something that reached a file.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A file was made, or one that was there was opened first.
    Created {
        path: PathBuf,
    },
    Wrote {
        path: PathBuf,
        at: u64,
        bytes: Vec<u8>,
    },
    Truncated {
        path: PathBuf,
        length: u64,
    },
    Synced {
        path: PathBuf,
    },
    /// `lasting` if the folder was synced.
    Deleted {
        path: PathBuf,
        lasting: bool,
    },
}

/// Everything that reached the files while it was recorded. None of them was there before, or it was
/// empty.
#[derive(Debug)]
pub struct Recording {
    events: Vec<Event>,
}

/// How much a power cut takes with it of what was written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it.
    DropsAll,
    /// Nothing.
    KeepsAll,
    /// Each sector of 512 bytes is kept or lost by chance, whatever was written first.
    Tears,
}

impl Recording {
    pub(crate) fn new(events: Vec<Event>) -> Self {
        Self { events }
    }

    /// How many moments there are: before the first event, and after each.
    #[must_use]
    pub fn moments(&self) -> usize {
        self.events.len() + 1
    }

    /// Builds in `folder` the files that a power cut after so many events could leave. `seed` decides
    /// what chance does. The log's index is none of them: it lies in memory.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn cut(&self, moment: usize, cut: Cut, seed: u64, folder: &Path) -> io::Result<()> {
        let mut chance = Chance { cut, random: Random::new(seed) };
        let mut files = Files::default();
        for event in &self.events[..moment] {
            files.follow(event);
        }
        for (path, image) in files.after_a_cut(&mut chance) {
            let Some(name) = path.file_name() else { continue };
            fs::write(folder.join(name), image)?;
        }
        Ok(())
    }
}

/// Decides what is kept.
pub(crate) struct Chance {
    cut: Cut,
    random: Random,
}

impl Chance {
    #[cfg(test)]
    pub fn of(cut: Cut) -> Self {
        Self { cut, random: Random::new(0) }
    }

    pub fn keeps(&mut self) -> bool {
        match self.cut {
            Cut::DropsAll => false,
            Cut::KeepsAll => true,
            Cut::Tears => self.random.below(2) == 0,
        }
    }

    /// How many of `count` changes are kept that reach the disk in their order.
    fn keeps_of(&mut self, count: usize) -> usize {
        match self.cut {
            Cut::DropsAll => 0,
            Cut::KeepsAll => count,
            Cut::Tears => self.random.below(count as u64 + 1) as usize,
        }
    }
}

/// Files by name, as they are and as the disk has them for certain. What happens to names reaches the
/// disk in its order, as journaling file systems keep it.
#[derive(Default)]
struct Files {
    images: Vec<Image>,
    /// Which image a name has for certain.
    lasting: BTreeMap<PathBuf, usize>,
    /// What happened to names since then: `None` is a removal.
    pending: Vec<(PathBuf, Option<usize>)>,
    now: BTreeMap<PathBuf, usize>,
}

impl Files {
    fn follow(&mut self, event: &Event) {
        match event {
            Event::Created { path } => {
                // A file that was there before SQLite opened it has its name already.
                let new = self.images.len();
                self.images.push(Image::default());
                self.now.insert(path.clone(), new);
                self.pending.push((path.clone(), Some(new)));
                if self.lasting.is_empty() {
                    self.names_last();
                }
            }
            Event::Wrote { path, at, bytes } => self.image(path, |image| image.write(*at, bytes)),
            Event::Truncated { path, length } => self.image(path, |image| image.truncate(*length)),
            Event::Synced { path } => {
                self.image(path, Image::sync);
                // A file that is synced for the first time is synced with its folder.
                self.names_last();
            }
            Event::Deleted { path, lasting } => {
                self.now.remove(path);
                self.pending.push((path.clone(), None));
                if *lasting {
                    self.names_last();
                }
            }
        }
    }

    fn image(&mut self, path: &Path, change: impl FnOnce(&mut Image)) {
        if let Some(index) = self.now.get(path) {
            change(&mut self.images[*index]);
        }
    }

    fn names_last(&mut self) {
        self.pending.clear();
        self.lasting = self.now.clone();
    }

    fn after_a_cut(mut self, chance: &mut Chance) -> BTreeMap<PathBuf, Vec<u8>> {
        let kept = chance.keeps_of(self.pending.len());
        for (path, image) in self.pending.drain(..kept) {
            match image {
                Some(image) => self.lasting.insert(path, image),
                None => self.lasting.remove(&path),
            };
        }
        let images = &self.images;
        self.lasting
            .into_iter()
            .map(|(path, image)| (path, images[image].after_a_cut(chance)))
            .collect()
    }
}
