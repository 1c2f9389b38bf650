//! Why a policy cannot be compiled, and why one evaluation gives no decision.

use std::time::Duration;

use thiserror::Error;

/// Why the text of a policy is not accepted (reason `policy-invalid`).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompileError {
    /// Neither Rego v0 nor Rego v1 accepts the text.
    #[error("policy is not valid rego: as v0: {v0}; as v1: {v1}")]
    Parse {
        /// What the v0 parser says.
        v0: String,
        /// What the v1 parser says.
        v1: String,
    },
    /// The text parses, but its rules cannot be ordered or bound (unsafe variables, for example).
    #[error("policy cannot be prepared: {message}")]
    Unsound {
        /// What the engine says.
        message: String,
    },
    /// The query is `data.sigstore.isCompliant`, so the package must be `sigstore`.
    #[error("policy must declare `package sigstore`, found `package {found}`")]
    Package {
        /// The package that the policy declares.
        found: String,
    },
    /// There is nothing to ask.
    #[error("policy has no rule `isCompliant`")]
    MissingRule,
    /// Rules or functions that reach themselves. OPA refuses them too; the engine would exhaust
    /// the stack on some of them.
    #[error("policy is recursive: {}", cycle.join(" -> "))]
    RecursiveCall {
        /// The names on the cycle; the first is repeated at the end.
        cycle: Vec<String>,
    },
    /// A call to something that is neither a function of the policy nor a builtin.
    #[error("function `{name}` does not exist")]
    UnknownFunction {
        /// The path as called.
        name: String,
    },
    /// A call with the wrong number of arguments.
    #[error("function `{name}` takes {expected} arguments, found {found}")]
    Arity {
        /// The path as called.
        name: String,
        /// How many arguments the builtin takes.
        expected: usize,
        /// How many were written.
        found: usize,
    },
    /// A builtin that reaches out, varies between runs, or has work that cannot be bounded
    /// before it starts (T-14; OPA CVE-2022-36085: not even as the object of `with`).
    #[error("builtin `{name}` is not available: {why}")]
    ForbiddenBuiltin {
        /// The builtin.
        name: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// Rules that OPA puts together and the engine does not (T-45): one would hide what the other says.
    #[error(
        "rules `{general}` and `{special}` may be about the same, and this engine does not put them together: write both with a variable, or neither"
    )]
    OverlappingHeads {
        /// The head with a variable.
        general: String,
        /// The head that names one of its values.
        special: String,
    },
    /// Names with this prefix belong to the guards that compilation inserts.
    #[error("names must not contain the reserved prefix `{prefix}`")]
    ReservedName {
        /// The prefix.
        prefix: &'static str,
    },
    /// More than this compiler reads.
    #[error("policy is too large: {found} {what}, at most {limit}")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many there are (a lower bound where counting stopped early).
        found: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// Why one evaluation gives no decision. None of these admits anything.
///
/// The first four are the reason `policy-budget` ([`EvalError::is_budget`]).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvalError {
    /// The evaluation took longer than it may.
    #[error("policy evaluation took longer than {limit:?}")]
    Time {
        /// [`super::Budget::evaluation`].
        limit: Duration,
    },
    /// The value of `isCompliant` is larger than it may be.
    #[error("policy result is larger than {limit} bytes")]
    OutputTooLarge {
        /// [`super::Budget::output_bytes`].
        limit: usize,
    },
    /// The input is larger than it may be, as text or as values in memory.
    #[error("policy input of {found} bytes {measure} is larger than {limit} bytes")]
    InputTooLarge {
        /// Size of the input under `measure`.
        found: usize,
        /// `as text` or `in memory`.
        measure: &'static str,
        /// The bound that applies to `measure`.
        limit: usize,
    },
    /// A builtin or operator would have produced or worked through more than it may.
    #[error("policy calls `{name}` for more than {what}")]
    Builtin {
        /// The builtin, or `operator` for an arithmetic, set or comparison operator.
        name: &'static str,
        /// Which allowance it would have passed.
        what: &'static str,
    },
    /// The input is not JSON that the engine can hold.
    #[error("policy input cannot be read: {message}")]
    Input {
        /// What the reader says.
        message: String,
    },
    /// The rules contradict each other for this input (two values for one complete rule, for
    /// example). OPA reports an error here as well.
    #[error("policy cannot be evaluated: {message}")]
    Policy {
        /// What the engine says.
        message: String,
    },
    /// The engine failed in a way that is nobody's fault but ours (T-11: a panic is a denial).
    #[error("policy engine failed: {message}")]
    Internal {
        /// What is known.
        message: String,
    },
}

impl EvalError {
    /// Whether the reason is `policy-budget`.
    pub fn is_budget(&self) -> bool {
        match self {
            Self::Time { .. }
            | Self::OutputTooLarge { .. }
            | Self::InputTooLarge { .. }
            | Self::Builtin { .. } => true,
            Self::Input { .. } | Self::Policy { .. } | Self::Internal { .. } => false,
        }
    }
}
