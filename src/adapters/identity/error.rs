//! Why a service gives no credential and no answer, in words for whoever runs us.

use http::StatusCode;
use serde::Deserialize;

use crate::adapters::outbound::OutboundError;

/// Why a service gives no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// Credentials are missing or cannot be used.
    #[error("credentials: {detail}")]
    Credentials {
        /// What is missing.
        detail: String,
    },
    /// No answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// A refusal, or a failure on its side.
    #[error("{service} answered {status}{code}")]
    Status {
        /// The service.
        service: &'static str,
        /// Its status.
        status: StatusCode,
        /// Its error code in parentheses, if it gave one.
        code: String,
    },
    /// An answer that cannot be used.
    #[error("{service} gave an answer that cannot be used: {detail}")]
    Answer {
        /// The service.
        service: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl ServiceError {
    pub(in crate::adapters) fn credentials(detail: impl Into<String>) -> Self {
        Self::Credentials {
            detail: detail.into(),
        }
    }

    pub(in crate::adapters) fn answer(service: &'static str, detail: impl Into<String>) -> Self {
        Self::Answer {
            service,
            detail: detail.into(),
        }
    }
}

/// The code of an error as ` (NotFoundException)`: the only part of an error's body that is repeated, and only if it is a word.
pub(super) fn code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "__type")]
        aws: Option<String>,
        error: Option<serde_json::Value>,
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return String::new();
    };
    let nested = |error: &serde_json::Value| {
        let code = error.get("status").or_else(|| error.get("code"));
        code.unwrap_or(error).as_str().map(str::to_owned)
    };
    let written = body.aws.or_else(|| body.error.as_ref().and_then(nested));
    let is_word = |code: &String| {
        !code.is_empty()
            && code.len() <= 64
            && code
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._#".contains(c))
    };
    written
        .filter(is_word)
        .map(|code| format!(" ({code})"))
        .unwrap_or_default()
}
