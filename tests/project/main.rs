//! Checks of the project itself: its layers, the size of its parts, what it depends on, what it
//! says about itself.

mod layers;
mod manifest;
mod sizes;
mod sources;
mod statements;
