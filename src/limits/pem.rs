//! PEM (RFC 7468) from outside, read under bounds.
//!
//! A block is decoded whole before anything of it is read as DER. A reader that does both at once is not used: that of `der` 0.7 waits
//! for ever for bytes that a block does not have, and nobody can stop a thread that waits so (T-58).

use rustls_pki_types::pem::{PemObject as _, SectionKind};

use super::json::brief;

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// A boundary without its counterpart, or no base64 between them.
    #[error("not PEM: {0}")]
    Syntax(String),
    /// A block of another kind.
    #[error("there is a PEM block that is no {0}")]
    OtherBlock(&'static str),
    /// More blocks than allowed.
    #[error("more than {0} PEM blocks")]
    TooMany(usize),
    /// No block.
    #[error("there is no {0} in PEM")]
    Nothing(&'static str),
}

/// The content of every `CERTIFICATE` in a text, in its order: one to `most`. Text outside of blocks is passed over, a block of another
/// kind never. What is in a block need not be a certificate.
///
/// # Errors
/// See [`PemError`].
pub fn certificates(text: &[u8], most: usize) -> Result<Vec<Vec<u8>>, PemError> {
    blocks(text, SectionKind::Certificate, "CERTIFICATE", most)
}

/// The content of the one `PUBLIC KEY` in a text. It need not be a key.
///
/// # Errors
/// See [`PemError`].
pub fn public_key(text: &[u8]) -> Result<Vec<u8>, PemError> {
    const LABEL: &str = "PUBLIC KEY";
    let mut found = blocks(text, SectionKind::PublicKey, LABEL, 1)?;
    found.pop().ok_or(PemError::Nothing(LABEL))
}

fn blocks(
    text: &[u8],
    wanted: SectionKind,
    label: &'static str,
    most: usize,
) -> Result<Vec<Vec<u8>>, PemError> {
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, content) = section.map_err(|e| PemError::Syntax(brief(&e)))?;
        if kind != wanted {
            return Err(PemError::OtherBlock(label));
        }
        if found.len() == most {
            return Err(PemError::TooMany(most));
        }
        found.push(content);
    }
    // The parser passes over labels that it does not know.
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
    let begun = lines.filter(|line| line.starts_with(b"-----BEGIN "));
    if begun.count() != found.len() {
        return Err(PemError::OtherBlock(label));
    }
    if found.is_empty() {
        return Err(PemError::Nothing(label));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three bytes, in PEM.
    const BLOCK: &str = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";

    #[test]
    fn reads_every_block_up_to_the_bound_and_none_beyond() {
        let two = BLOCK.repeat(2);
        assert_eq!(
            certificates(two.as_bytes(), 2),
            Ok(vec![vec![1, 2, 3], vec![1, 2, 3]])
        );
        assert_eq!(certificates(two.as_bytes(), 1), Err(PemError::TooMany(1)));
    }

    #[test]
    fn takes_lines_of_any_width_and_passes_over_what_stands_outside() {
        let text = format!("subject: nobody\r\n{}\n\n", BLOCK.replace('\n', "\r\n"));
        assert_eq!(certificates(text.as_bytes(), 1), Ok(vec![vec![1, 2, 3]]));
        let narrow = BLOCK.replace("AQID", "AQ\nID");
        assert_eq!(certificates(narrow.as_bytes(), 1), Ok(vec![vec![1, 2, 3]]));
    }

    #[test]
    fn refuses_what_is_no_pem_and_what_holds_nothing() {
        for nothing in ["", "\n\r\n", " ", "hello", "-----END CERTIFICATE-----\n"] {
            assert_eq!(
                certificates(nothing.as_bytes(), 4),
                Err(PemError::Nothing("CERTIFICATE")),
                "{nothing:?}"
            );
        }
        for broken in [
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE\nAQID\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nAQID\n-----END PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----\nAQ!D\n-----END CERTIFICATE-----",
        ] {
            let refused = certificates(broken.as_bytes(), 4);
            assert!(matches!(refused, Err(PemError::Syntax(_))), "{broken:?}");
        }
    }

    #[test]
    fn a_block_of_another_kind_is_not_passed_over() {
        let key = "-----BEGIN PUBLIC KEY-----\nAQID\n-----END PUBLIC KEY-----\n";
        assert_eq!(
            certificates(format!("{BLOCK}{key}").as_bytes(), 4),
            Err(PemError::OtherBlock("CERTIFICATE"))
        );
        assert_eq!(public_key(key.as_bytes()), Ok(vec![1, 2, 3]));
        assert_eq!(
            public_key(BLOCK.as_bytes()),
            Err(PemError::OtherBlock("PUBLIC KEY"))
        );
        assert_eq!(
            public_key(key.repeat(2).as_bytes()),
            Err(PemError::TooMany(1))
        );
    }
}
