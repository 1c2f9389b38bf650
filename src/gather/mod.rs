//! Gathering: what is fetched about an image, in which order, and once.
pub mod keychain;
pub mod registry;
