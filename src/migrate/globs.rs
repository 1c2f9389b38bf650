//! Which globs could match anything under policy-controller.
//!
//! There an image is matched by its full name with its digest, `REGISTRY[:PORT]/REPOSITORY@sha256:<hex>`, and by nothing else: its tag
//! is left out. A glob that no such name satisfies never selected an image. Whether there is one is decided exactly, by walking the
//! glob and the form of names side by side.

use std::collections::BTreeSet;

/// What stands between the repository and the digest.
const ALGORITHM: &[u8] = b"@sha256:";
/// The digits of a digest.
const DIGITS: usize = 64;
/// One character of each class that the form of names tells apart.
const CLASSES: &[u8] = b"g0/:@.sha256";

/// One piece of a glob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Literal(u8),
    /// `*`: anything without `/`.
    Segment,
    /// `**`: anything.
    Anything,
}

/// How much of a name has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Read {
    Start,
    Host,
    Port,
    Repository,
    /// So many characters of [`ALGORITHM`].
    Algorithm(usize),
    /// So many digits.
    Digest(usize),
}

/// Whether any image that is named by a digest could match.
pub(super) fn could_match_by_digest(glob: &str) -> bool {
    let pieces = pieces(match glob {
        "*" => "index.docker.io/library/*",
        "*/*" => "index.docker.io/*/*",
        written => written,
    });
    let mut seen = BTreeSet::from([(0, Read::Start)]);
    let mut open = vec![(0, Read::Start)];
    while let Some((at, read)) = open.pop() {
        let Some(piece) = pieces.get(at) else {
            if read == Read::Digest(DIGITS) {
                return true;
            }
            continue;
        };
        let next: Vec<(usize, Read)> = match piece {
            Piece::Literal(byte) => read
                .next(*byte)
                .map(|read| (at + 1, read))
                .into_iter()
                .collect(),
            Piece::Segment | Piece::Anything => {
                let may = CLASSES
                    .iter()
                    .filter(|byte| **byte != b'/' || *piece == Piece::Anything);
                let more = may
                    .filter_map(|byte| read.next(*byte))
                    .map(|read| (at, read));
                more.chain([(at + 1, read)]).collect()
            }
        };
        open.extend(next.into_iter().filter(|state| seen.insert(*state)));
    }
    false
}

fn pieces(glob: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = glob.as_bytes();
    loop {
        rest = match rest {
            [] => return pieces,
            [b'*', b'*', rest @ ..] => {
                pieces.push(Piece::Anything);
                rest
            }
            [b'*', rest @ ..] => {
                pieces.push(Piece::Segment);
                rest
            }
            [byte, rest @ ..] => {
                pieces.push(Piece::Literal(*byte));
                rest
            }
        };
    }
}

// === impl Read ===

impl Read {
    /// What has been read with one more character; `None` where no name goes on like this.
    fn next(self, byte: u8) -> Option<Self> {
        let is_word = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        match (self, byte) {
            (Self::Start | Self::Host, _) if is_word => Some(Self::Host),
            (Self::Host, b':') | (Self::Port, b'0'..=b'9') => Some(Self::Port),
            (Self::Host | Self::Port, b'/') => Some(Self::Repository),
            (Self::Repository, b'@') => Some(Self::Algorithm(1)),
            (Self::Repository, _) if is_word || byte == b'/' => Some(Self::Repository),
            (Self::Algorithm(read), _) if ALGORITHM.get(read) == Some(&byte) => {
                let read = read + 1;
                Some(if read == ALGORITHM.len() {
                    Self::Digest(0)
                } else {
                    Self::Algorithm(read)
                })
            }
            (Self::Digest(read), b'0'..=b'9' | b'a'..=b'f') if read < DIGITS => {
                Some(Self::Digest(read + 1))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("**", true)]
    #[case("*", true)]
    #[case("*/*", true)]
    #[case("ghcr.io/org/app*", true)]
    #[case("ghcr.io/org/app**", true)]
    #[case("ghcr.io/org/app@*", true)]
    #[case("ghcr.io/org/*", true)]
    #[case("ghcr.io/**/app@sha256:*", true)]
    #[case("registry.local:5000/*", true)]
    #[case("registry.local:*/app*", true)]
    #[case("**app**", true)]
    #[case("index.docker.**", true)]
    #[case("ghcr.io/org/app", false)]
    #[case("ghcr.io/org/app:v1", false)]
    #[case("ghcr.io/org/app:*", false)]
    #[case("ghcr.io/org/app:v1*", false)]
    #[case("**:v1*", false)]
    #[case("quay.io/jetstack/cert-manager-acmesolver:*", false)]
    #[case("nginx*", false)]
    #[case("foo", false)]
    #[case("ghcr.io/org/app@sha512:*", false)]
    #[case("ghcr.io/org/*:*", true)]
    #[case("ghcr.io//app*", true)]
    fn a_glob_matches_by_digest_or_never(#[case] glob: &str, #[case] could: bool) {
        assert_eq!(could_match_by_digest(glob), could);
    }

    #[test]
    fn a_digest_that_is_written_out_counts_to_its_last_digit() {
        let whole = format!("ghcr.io/org/app@sha256:{}", "0".repeat(64));
        assert!(could_match_by_digest(&whole));
        assert!(!could_match_by_digest(&format!("{whole}0")));
        assert!(!could_match_by_digest(whole.trim_end_matches("00")));
    }
}
