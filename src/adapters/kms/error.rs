//! Why a service gives no key, in words for whoever wrote the policy or runs the webhook.

use crate::adapters::identity::ServiceError;

/// Why a service gives no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KmsError {
    /// The reference names no key.
    #[error("the reference names no key: {detail}")]
    Reference {
        /// What is wrong with it.
        detail: String,
    },
    /// A host that credentials are not sent to.
    #[error("credentials are not sent to {host}: {rule}")]
    ForeignHost {
        /// The host.
        host: String,
        /// Which hosts may have them, or what names another.
        rule: &'static str,
    },
    /// No credentials, no answer, or one that is no key.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl KmsError {
    pub(super) fn reference(detail: impl Into<String>) -> Self {
        Self::Reference {
            detail: detail.into(),
        }
    }

    pub(super) fn credentials(detail: impl Into<String>) -> Self {
        ServiceError::credentials(detail).into()
    }

    pub(super) fn answer(service: &'static str, detail: impl Into<String>) -> Self {
        ServiceError::answer(service, detail).into()
    }
}
