//! What is in force.

use std::sync::Arc;

use super::controls::{Controls, ControlsState};
use crate::adapters::enforced::Objects;
use crate::policy::{PolicySet, Referents};

/// What is in force since the last change.
#[derive(Clone, Default)]
pub struct InForce {
    /// What it was read from.
    pub objects: Arc<Objects>,
    /// What there was to refer to.
    pub referents: Arc<Referents>,
    /// The policies; `None` until the first are in force.
    pub policies: Option<Arc<PolicySet>>,
    /// The settings that can be changed while we run.
    pub controls: Controls,
    /// Where they come from.
    pub controls_state: ControlsState,
}
