//! A call that is not a readable review: refused with a status that the API server counts as a failed call, and with words.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};

use super::deadline::TimeoutError;
use super::review::ReviewError;

/// The longest text that is sent back and logged, in bytes: parts of it may be the caller's.
const TEXT_BYTES: usize = 1_024;

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// No route has this path.
    #[error(
        "there is nothing at {path:?}: AdmissionReviews go to POST /validate, POST /mutate and POST /validate-policy"
    )]
    UnknownPath {
        /// The path that was asked for.
        path: String,
    },
    /// The route is not asked this way.
    #[error("{path} takes POST, not {method}")]
    WrongMethod {
        /// The path that was asked for.
        path: String,
        /// The method that was used.
        method: Method,
    },
    /// Not JSON.
    #[error("content-type is {found:?}: application/json is wanted")]
    ContentType {
        /// What the header says; empty when there is none.
        found: String,
    },
    /// Compressed. The API server does not, and what is small on the wire may be large in memory.
    #[error("content-encoding is {found:?}: only an unencoded body is read")]
    ContentEncoding {
        /// What the header says.
        found: String,
    },
    /// Larger than a review can be.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// Of more values than a review can have.
    #[error("the body takes more than {limit} bytes once it is parsed")]
    TooHeavy {
        /// The bound, in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {limit:?}")]
    SlowBody {
        /// How long it was waited for.
        limit: Duration,
    },
    /// The connection failed under the body.
    #[error("the body could not be read to its end")]
    BrokenBody {
        /// What the transport says.
        #[source]
        source: axum::Error,
    },
    /// `?timeout=` is not a duration.
    #[error(transparent)]
    Timeout(#[from] TimeoutError),
    /// Not an AdmissionReview.
    #[error("not an AdmissionReview that can be answered: {0}")]
    Malformed(#[from] ReviewError),
    /// Too much is in flight, and the review does not say its uid where it usually stands.
    #[error("too many reviews are in flight")]
    Overloaded,
    /// A policy could not be checked. That is not held against it: it is compiled once more where it is put in force.
    #[error("the policy was not checked: {why}")]
    Unchecked {
        /// What kept us from it.
        why: &'static str,
    },
    /// The answer could not be written.
    #[error("the answer could not be written")]
    Unwritable {
        /// What the serializer says.
        #[source]
        source: serde_json::Error,
    },
}

impl Refusal {
    /// The status of the response.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath { .. } => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType { .. } | Self::ContentEncoding { .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::TooLarge { .. } | Self::TooHeavy { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenBody { .. } | Self::Timeout(_) | Self::Malformed(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unchecked { .. } | Self::Unwritable { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is sent back and logged.
    pub(super) fn text(&self) -> String {
        let mut text = self.to_string();
        text.truncate(text.floor_char_boundary(TEXT_BYTES));
        text
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.text() + "\n").into_response();
        if matches!(self, Self::WrongMethod { .. }) {
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}
