//! The first PEM block (RFC 7468) of a text. What follows it does not count, as in policy-controller.

use spki::der::pem::Decoder;

use super::InvalidKey;

/// The longest text that is read, in bytes. A 4096-bit RSA key takes 800.
const TEXT_BYTES: usize = 64 << 10;

/// A decoded block.
pub(super) struct Block {
    /// What it says it is.
    pub(super) label: String,
    /// DER, as its label says.
    pub(super) der: Vec<u8>,
}

/// Decodes the first block of `text`. A block that cannot be decoded is never passed over for the next one.
pub(super) fn first_block(text: &str) -> Result<Block, InvalidKey> {
    if text.len() > TEXT_BYTES {
        return Err(InvalidKey::TooLong {
            found: text.len(),
            limit: TEXT_BYTES,
        });
    }
    let block = cut_first_block(text).ok_or(InvalidKey::NoPem)?;
    let undecodable = |error: spki::der::pem::Error| InvalidKey::Encoding {
        detail: error.to_string(),
    };
    // Lines of any one width: some tools write the whole key on one line.
    let mut decoder = Decoder::new_detect_wrap(block.as_bytes()).map_err(undecodable)?;
    let label = decoder.type_label().to_owned();
    let mut der = Vec::new();
    decoder.decode_to_end(&mut der).map_err(undecodable)?;
    Ok(Block { label, der })
}

/// From the first boundary that starts a line to the end of the first block after it.
fn cut_first_block(text: &str) -> Option<&str> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "\n-----END ";
    const DASHES: &str = "-----";
    // Within a line it is a remark about a block, and no block.
    let start = if text.starts_with(BEGIN) {
        0
    } else {
        text.find("\n-----BEGIN ")? + 1
    };
    let block = text.get(start..)?;
    let Some(end) = block.find(END).map(|at| at + END.len()) else {
        return Some(block);
    };
    match block.get(end..).and_then(|rest| rest.find(DASHES)) {
        Some(dashes) => block.get(..end + dashes + DASHES.len()),
        None => Some(block),
    }
}
