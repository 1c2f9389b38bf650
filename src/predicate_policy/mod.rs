//! Predicate policies in Rego: does what was signed say what the policy wants?
//!
//! In: the text of a policy, and the signed statement (or the report of a policy's authorities)
//! as JSON. Out: a [`Decision`], or an error that admits nothing. Implements the contract of
//! policy-controller for Rego; answers T-11, T-13, T-14 and T-45.
//!
//! ```text
//! source ─ lexical ─▶ engine's parser ─▶ syntax ─ calls ─▶ builtins used, no cycles
//!                                           └─ rewrite ─▶ guarded source ─▶ Program
//! input  ─ lexical ─▶ Value ─▶ clone of the prepared engine + meter ─▶ value ─▶ Decision
//! ```
//!
//! The engine (regorus) is deterministic and reaches nothing, but bounds neither memory nor the
//! time of one builtin. The bounds are ours: `builtins` says what each builtin may do, `cost`
//! bounds it from its arguments, `meter` adds up, `calls` and `rewrite` see to what no builtin
//! shadow can catch. A bound that is passed is an error, never a value.

mod builtins;
mod calls;
mod cost;
mod decision;
mod error;
mod heads;
mod lexical;
mod measure;
mod meter;
mod rewrite;
mod syntax;

use std::fmt;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, PolicyLengthConfig, Value};

pub use decision::Decision;
pub use error::{CompileError, EvalError};

use meter::Meter;

/// The rule that decides.
const RULE: &str = "data.sigstore.isCompliant";
/// Evaluation steps between two looks at the clock.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(15);
/// How much memory a byte of input may take once it is read. Real statements take three to eight;
/// empty arrays take sixty.
const MEMORY_PER_INPUT_BYTE: usize = 8;

/// What one evaluation may take. What the builtins of an evaluation may produce and work through
/// together is fixed (64 MiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Time of one evaluation, reading the input not included. Default 100 ms.
    pub evaluation: Duration,
    /// Size of the value of `isCompliant`, in bytes of text. Default 1 MiB.
    pub output_bytes: usize,
    /// Size of the input, in bytes of JSON. In memory it may take eight times as much.
    /// Default 32 MiB.
    pub input_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            evaluation: Duration::from_millis(100),
            output_bytes: 1024 * 1024,
            input_bytes: 32 * 1024 * 1024,
        }
    }
}

/// The version of the language that a policy is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Rego v0, with `import rego.v1` and `import future.keywords` where the policy has them.
    V0,
    /// Rego v1 without an import, which v0 does not accept.
    V1,
}

/// A compiled policy: parsed, checked and prepared once, cheap to evaluate many times from any
/// thread.
pub struct Program {
    dialect: Dialect,
    engine: Engine,
    /// Indices into the table of builtins.
    builtins_used: Vec<usize>,
    builtins: Engine,
}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Program")
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

impl Program {
    /// Compiles a policy: v0 first, v1 only when v0 does not accept it.
    ///
    /// 1. The text is small enough to be parsed.
    /// 2. It parses.
    /// 3. The package is `sigstore`, there is `isCompliant`, every call exists and is allowed,
    ///    nothing is recursive or too deep.
    /// 4. With guards it parses again, and the engine can order its rules.
    ///
    /// # Errors
    ///
    /// [`CompileError`], by the step that fails. Compiling takes memory in proportion to the
    /// text, which is at most 256 KiB.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        // A text that panics the engine is a policy that does not compile (T-11).
        catch_unwind(|| Self::compile_inner(source))
            .unwrap_or_else(|_| Err(unsound("the engine failed on this text")))
    }

    fn compile_inner(source: &str) -> Result<Self, CompileError> {
        lexical::bound_source(source)?;
        if source.contains(meter::GUARD_PREFIX) {
            let prefix = meter::GUARD_PREFIX;
            return Err(CompileError::ReservedName { prefix });
        }
        let (dialect, module) = match read_v1_alone(source) {
            Some(module) => (Dialect::V1, module),
            None => read(source)?,
        };
        let builtins_used = calls::check(&module, source)?;
        heads::check(&module)?;
        // What is wrong with the order or the variables of rules is told about the text as it is written, not as it is guarded.
        prepare(&mut parse(source, dialect).map_err(unsound)?)?;
        let guarded = rewrite::guarded(&module, source)
            .ok_or_else(|| unsound("guards do not fit the syntax tree"))?;
        let mut engine = parse(&guarded, dialect).map_err(unsound)?;
        prepare(&mut engine)?;
        let builtins = meter::builtins_engine(&builtins_used).map_err(unsound)?;
        Ok(Self {
            dialect,
            engine,
            builtins_used,
            builtins,
        })
    }

    /// The version of the language that was accepted.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Asks the policy about one input. Does not parse the policy again. Takes up to
    /// `budget.evaluation` and more for reading a large input, so it belongs off the async
    /// threads; needs the stack that threads have by default (2 MiB).
    ///
    /// # Errors
    ///
    /// [`EvalError`]; nothing may be admitted on one.
    pub fn evaluate(&self, input_json: &str, budget: &Budget) -> Result<Decision, EvalError> {
        // A panic of the engine is an error of this evaluation (T-11). What it leaves behind is
        // dropped: the engine is a clone, the meter belongs to this call.
        catch_unwind(AssertUnwindSafe(|| self.evaluate_inner(input_json, budget))).unwrap_or_else(
            |_| {
                let message = "the engine panicked".to_owned();
                Err(EvalError::Internal { message })
            },
        )
    }

    fn evaluate_inner(&self, input_json: &str, budget: &Budget) -> Result<Decision, EvalError> {
        let input = read_input(input_json, budget)?;
        let meter = Arc::new(Mutex::new(Meter::new(self.builtins.clone())));
        let mut engine = self.engine.clone();
        meter::install(&mut engine, &self.builtins_used, &meter).map_err(internal)?;
        engine.set_input(input);
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: budget.evaluation,
            check_interval: CHECK_INTERVAL,
        });
        let started = Instant::now();
        let answer = engine.eval_rule(RULE.to_owned());
        // The engine drops some errors when another rule has a value. A budget that was passed
        // counts whatever the answer is.
        if let Some(tripped) = meter::with(&meter, |meter| meter.tripped()) {
            return Err(tripped);
        }
        if started.elapsed() > budget.evaluation {
            let limit = budget.evaluation;
            return Err(EvalError::Time { limit });
        }
        let value = answer.map_err(|error| refused(&error))?;
        let limit = budget.output_bytes;
        if measure::measure(&value, measure::length(limit)).is_none() {
            return Err(EvalError::OutputTooLarge { limit });
        }
        Ok(Decision::read(&value))
    }
}

fn read_input(text: &str, budget: &Budget) -> Result<Value, EvalError> {
    let too_large = |found, measure, limit| {
        Err(EvalError::InputTooLarge {
            found,
            measure,
            limit,
        })
    };
    if text.len() > budget.input_bytes {
        return too_large(text.len(), "as text", budget.input_bytes);
    }
    let Some(memory) = lexical::json_memory(text) else {
        let message = "a number has too many digits".to_owned();
        return Err(EvalError::Input { message });
    };
    let limit = budget.input_bytes.saturating_mul(MEMORY_PER_INPUT_BYTE);
    if memory > limit {
        return too_large(memory, "in memory", limit);
    }
    Value::from_json_str(text).map_err(|error| EvalError::Input {
        message: error.to_string(),
    })
}

/// An engine with nothing but this policy.
fn parse(source: &str, dialect: Dialect) -> Result<Engine, String> {
    let mut engine = Engine::new();
    engine.set_rego_v0(dialect == Dialect::V0);
    // As in OPA, a builtin error is undefined.
    engine.set_strict_builtin_errors(false);
    // OPA has no longest line; the whole text is bounded, guards included.
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::MAX,
        ..PolicyLengthConfig::default()
    });
    match engine.add_policy("policy.rego".to_owned(), source.to_owned()) {
        Ok(_) => Ok(engine),
        Err(error) => Err(error.to_string().trim().to_owned()),
    }
}

/// Reads a policy that can only be v1: it has `if` where that is a keyword, and does not import it.
///
/// It would be found out by reading it as v0 first, too. But then the engine writes to standard error, past our logs, that it takes
/// the word for a name.
fn read_v1_alone(source: &str) -> Option<syntax::Module> {
    let imports = source.contains("rego.v1") || source.contains("future.keywords");
    if imports || !lexical::has_word(source, "if") {
        return None;
    }
    let engine = parse(source, Dialect::V1).ok()?;
    syntax_of(&engine).ok()
}

/// Reads a policy as v0, and as v1 only where that fails.
fn read(source: &str) -> Result<(Dialect, syntax::Module), CompileError> {
    let v0 = match read_v0(source) {
        Ok(module) => return Ok((Dialect::V0, module)),
        Err(v0) => v0,
    };
    match parse(source, Dialect::V1) {
        Ok(engine) => Ok((Dialect::V1, syntax_of(&engine)?)),
        Err(v1) => Err(CompileError::Parse { v0, v1 }),
    }
}

/// Reads a policy as v0, if it is v0 for OPA too.
///
/// Without an import, the engine takes `isCompliant if { … }` for two rules, of which the first
/// always holds. OPA does not: a rule of v0 has a value or a body.
fn read_v0(source: &str) -> Result<syntax::Module, String> {
    let engine = parse(source, Dialect::V0)?;
    let module = syntax_of(&engine).map_err(|error| error.to_string())?;
    match module.rules.iter().find(|rule| rule.is_misread_v1()) {
        Some(rule) => {
            let name = rule.name().path().join(".");
            Err(format!(
                "rule `{name}` has neither a value nor a body, or the name of a keyword"
            ))
        }
        None => Ok(module),
    }
}

/// The syntax tree of the only policy of an engine.
fn syntax_of(engine: &Engine) -> Result<syntax::Module, CompileError> {
    #[derive(serde::Deserialize)]
    struct Policy {
        ast: syntax::Module,
    }
    let json = engine.get_ast_as_json().map_err(unsound)?;
    let policies: Vec<Policy> = serde_json::from_str(&json).map_err(unsound)?;
    let first = policies.into_iter().next();
    first
        .map(|policy| policy.ast)
        .ok_or_else(|| unsound("no policy"))
}

/// Orders and prepares the rules, without evaluating one.
fn prepare(engine: &mut Engine) -> Result<(), CompileError> {
    let prepared = engine.eval_query("true".to_owned(), false);
    prepared.map(|_| ()).map_err(unsound)
}

fn unsound(message: impl fmt::Display) -> CompileError {
    let message = message.to_string().trim().to_owned();
    CompileError::Unsound { message }
}

fn internal(error: impl fmt::Display) -> EvalError {
    let message = error.to_string();
    EvalError::Internal { message }
}

/// An error of the engine: the rules contradict each other, or ours.
fn refused(error: &anyhow::Error) -> EvalError {
    let message = error.to_string().trim().to_owned();
    if message.contains("internal error") {
        return EvalError::Internal { message };
    }
    EvalError::Policy { message }
}

#[cfg(test)]
mod tests;
