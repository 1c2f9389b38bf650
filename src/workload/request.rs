//! One admission request, as far as verdicts depend on it.

use serde_json::Value;

/// What the API server asks about. Built by `server::review` from an AdmissionReview, and by the command line from a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The review's `uid`, echoed exactly; empty on the command line.
    pub uid: String,
    /// What is done to the object.
    pub operation: Operation,
    /// API group of the object, empty for core.
    pub group: String,
    /// API version of the object.
    pub version: String,
    /// Kind of the object.
    pub kind: String,
    /// The subresource, empty for the object itself.
    pub subresource: String,
    /// Namespace; empty for what has none.
    pub namespace: String,
    /// Name; empty while it is generated.
    pub name: String,
    /// The object as it will be.
    pub object: Value,
    /// The object as it was, on UPDATE and DELETE.
    pub old_object: Option<Value>,
    /// Whether nothing is to be changed by the request (`kubectl --dry-run=server`).
    pub dry_run: bool,
}

/// An admission operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// CREATE
    Create,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
    /// CONNECT
    Connect,
}

impl Operation {
    /// As the API server writes it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "CREATE" => Some(Self::Create),
            "UPDATE" => Some(Self::Update),
            "DELETE" => Some(Self::Delete),
            "CONNECT" => Some(Self::Connect),
            _ => None,
        }
    }
}
