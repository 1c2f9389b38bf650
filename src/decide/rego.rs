//! The gate through which predicate policies run: off the async threads, as many at a time as there are cores, within time and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::limits::Limits;
use crate::predicate_policy::{Budget, Decision, EvalError, Program};
use crate::verdict::Reason;

/// The time that all evaluations of one policy may take together.
const PER_POLICY: Duration = Duration::from_millis(250);

/// Runs programs.
pub(super) struct RegoGate {
    /// Evaluations at one time.
    slots: Arc<Semaphore>,
    /// Input of all evaluations, in KiB.
    input: Arc<Semaphore>,
}

/// What is left of the time of one policy, for all its evaluations together, those that run side by side included.
pub(super) struct Allowance {
    left_us: AtomicU64,
}

/// Why a program gave no answer.
pub(super) struct NoAnswer {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Allowance {
    /// The whole time of one policy.
    pub(super) fn of_one_policy() -> Self {
        Self {
            left_us: AtomicU64::new(micros(PER_POLICY)),
        }
    }

    fn left(&self) -> Duration {
        Duration::from_micros(self.left_us.load(Ordering::Relaxed))
    }

    fn spend(&self, time: Duration) {
        let spent = |left: u64| Some(left.saturating_sub(micros(time)));
        let _ = self
            .left_us
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl RegoGate {
    pub(super) fn new(limits: &Limits) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            slots: Arc::new(Semaphore::new(cores)),
            input: Arc::new(Semaphore::new(limits.in_flight.policy_input_bytes >> 10)),
        }
    }

    /// Evaluates a program over `input`, a JSON document, within the allowance and before the deadline.
    pub(super) async fn evaluate(
        &self,
        program: &Arc<Program>,
        input: Arc<str>,
        allowance: &Allowance,
        deadline: Instant,
    ) -> Result<Decision, NoAnswer> {
        let permits = u32::try_from((input.len() >> 10).saturating_add(1)).unwrap_or(u32::MAX);
        let waiting = async {
            (
                Arc::clone(&self.input).acquire_many_owned(permits).await,
                Arc::clone(&self.slots).acquire_owned().await,
            )
        };
        let Ok((Ok(memory), Ok(slot))) = timeout_at(deadline, waiting).await else {
            return Err(NoAnswer {
                reason: Reason::Overloaded,
                detail: "too many policies are being evaluated to answer in time".to_owned(),
            });
        };
        let mut budget = Budget::default();
        budget.evaluation = budget.evaluation.min(allowance.left());
        if budget.evaluation.is_zero() {
            let detail =
                format!("the policy took longer than {PER_POLICY:?} for all its evaluations");
            return Err(NoAnswer {
                reason: Reason::PolicyBudget,
                detail,
            });
        }
        let program = Arc::clone(program);
        let run = tokio::task::spawn_blocking(move || {
            let _held = (memory, slot);
            let started = Instant::now();
            (program.evaluate(&input, &budget), started.elapsed())
        });
        // A run that its own timer cannot interrupt is left behind: it keeps its slot, and this request is answered.
        let answer = timeout_at(deadline, run).await.map(|ended| {
            ended.map(|(decision, took)| {
                allowance.spend(took);
                decision
            })
        });
        match answer {
            Ok(Ok(Ok(decision))) => Ok(decision),
            Ok(Ok(Err(error))) => Err(NoAnswer {
                reason: reason(&error),
                detail: error.to_string(),
            }),
            Err(_) => Err(NoAnswer {
                reason: Reason::Deadline,
                detail: "the time for this request was over while a policy was evaluated"
                    .to_owned(),
            }),
            // A panic inside the evaluation: it is contained here, and it never admits.
            Ok(Err(_)) => Err(NoAnswer {
                reason: Reason::Internal,
                detail: "the evaluation of the policy failed unexpectedly".to_owned(),
            }),
        }
    }
}

/// The reason of an evaluation that gave no decision.
pub fn reason(error: &EvalError) -> Reason {
    match error {
        EvalError::Time { .. }
        | EvalError::OutputTooLarge { .. }
        | EvalError::InputTooLarge { .. }
        | EvalError::Builtin { .. } => Reason::PolicyBudget,
        EvalError::Policy { .. } => Reason::PolicyInvalid,
        EvalError::Input { .. } | EvalError::Internal { .. } => Reason::Internal,
    }
}
