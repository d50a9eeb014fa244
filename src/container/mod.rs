//! The one door to LXC: images, snapshots, what the machine can do. What a container runs is decided elsewhere.

pub mod doctor;
pub mod image;
pub mod snapshot;
pub mod spec;
