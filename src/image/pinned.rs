//! Pinned images: what is judged.
//!
//! In come a reference and the digest its tag had when it was asked for; out comes a reference that stands for exactly one
//! manifest. Everything after this point asks for a [`PinnedImage`], so a tag cannot be judged and other bytes be run.

use super::{Digest, ImageReference};

/// An image reference together with the digest that is judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PinnedImage {
    /// The reference as the user wrote it.
    pub reference: ImageReference,
    digest: Digest,
}

// === impl PinnedImage ===

impl PinnedImage {
    /// Pins `reference`: to the digest it has, because that is what the container runtime pulls, else to `resolved`, the digest
    /// that its tag has now.
    pub fn new(reference: ImageReference, resolved: Digest) -> Self {
        let digest = reference.digest().cloned().unwrap_or(resolved);
        Self { reference, digest }
    }

    /// The digest that is judged.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The canonical form with the digest in full: `registry.example.com/shop/cart:1.4@sha256:…`.
    pub fn display_with_digest(&self) -> String {
        match self.reference.digest() {
            Some(_) => self.reference.to_string(),
            None => format!("{}@{}", self.reference, self.digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned(text: &str) -> PinnedImage {
        PinnedImage::new(text.parse().unwrap(), Digest::sha256_of(b"resolved"))
    }

    #[test]
    fn judges_the_digest_that_its_tag_was_resolved_to() {
        let image = pinned("registry.example.com/shop/cart:1.4");
        let digest = Digest::sha256_of(b"resolved");
        assert_eq!(image.digest(), &digest);
        assert_eq!(
            image.display_with_digest(),
            format!("registry.example.com/shop/cart:1.4@{digest}")
        );
    }

    #[test]
    fn judges_the_written_digest_whatever_a_tag_resolves_to() {
        let written = Digest::sha256_of(b"written");
        let image = pinned(&format!("registry.example.com/shop/cart:1.4@{written}"));
        assert_eq!(image.digest(), &written);
        assert_eq!(
            image.display_with_digest(),
            format!("registry.example.com/shop/cart:1.4@{written}")
        );
    }
}
