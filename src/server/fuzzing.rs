//! What `tests/fuzz` reaches that nobody else does: reading a review. Only built for it.

use super::review;
use crate::limits::Limits;
use crate::workload::Request;

/// The request of a review.
pub fn request(body: &[u8]) -> Option<Request> {
    review::decode(body, Limits::default().review.json_depth).ok()
}

/// The uid with which a review that cannot be read is denied.
pub fn uid_of_prefix(prefix: &[u8]) -> Option<String> {
    review::uid_of_prefix(prefix)
}
