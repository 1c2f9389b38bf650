//! What one evaluation may still do, and the extensions that keep it.
//!
//! Each evaluation has a meter of its own, shared by the extensions of its engine. The engine may
//! swallow the error of an extension (another rule for the same function may still have a value),
//! so a meter stays tripped: whatever the evaluation answers then, it is a budget error.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use regorus::{Engine, Value};

use super::builtins::{TABLE, Treatment, find, has_type};
use super::cost::{self, Bound};
use super::error::EvalError;
use super::measure::length;

/// What all builtins of one evaluation may allocate together.
const BYTES: u64 = 64 * 1024 * 1024;
/// What all builtins of one evaluation may work through together; roughly a tenth of a second.
const STEPS: u64 = 100_000_000;
/// Largest number that is computed with, in bits.
const NUMBER_BITS: u64 = 16 * 1024;

/// Prefix of the names of the guards; policies may not use it.
pub(super) const GUARD_PREFIX: &str = "__vouchsafe_";
/// Stands around operands of arithmetic and set operators.
pub(super) const OPERAND: &str = "__vouchsafe_operand";
/// Stands around the sides of comparisons.
pub(super) const COMPARAND: &str = "__vouchsafe_comparand";

/// Stands for `walk` where it has one argument.
pub(super) const WALK: &str = "__vouchsafe_walk";

/// The allowance of one evaluation.
pub(super) struct Meter {
    bytes_left: u64,
    steps_left: u64,
    tripped: Option<EvalError>,
    /// Has one rule for each shadowed builtin that the policy uses: `b7 := upper(input[0])`.
    builtins: Engine,
}

/// The error that an extension hands to the engine. The engine makes text of it.
#[derive(Debug, thiserror::Error)]
#[error("policy budget exhausted")]
struct Exhausted;

impl Meter {
    /// A full allowance. `builtins` comes from [`builtins_engine`].
    pub(super) fn new(builtins: Engine) -> Self {
        Self {
            bytes_left: BYTES,
            steps_left: STEPS,
            tripped: None,
            builtins,
        }
    }

    /// Why the evaluation has no answer, if it went beyond its allowance.
    pub(super) fn tripped(&self) -> Option<EvalError> {
        self.tripped.clone()
    }

    /// Calls the builtin at `index` of the table, if its bound is within the allowance.
    fn call(&mut self, index: usize, args: Vec<Value>) -> Result<Value, Exhausted> {
        let Some(builtin) = TABLE.get(index) else {
            return Ok(Value::Undefined);
        };
        let Treatment::Capped(types, bound) = builtin.treatment else {
            return Ok(Value::Undefined);
        };
        if args
            .iter()
            .zip(types)
            .any(|(arg, types)| !has_type(arg, *types))
        {
            return Ok(Value::Undefined);
        }
        if args.iter().any(is_large_number) {
            return Err(self.trip(builtin.name, "16 Kibit in a number"));
        }
        if !self.charge(builtin.name, bound(&args))? {
            return Ok(Value::Undefined);
        }
        match (builtin.name, args.as_slice()) {
            ("startswith", [Value::String(text), Value::String(affix)]) => {
                Ok(Value::Bool(text.starts_with(affix.as_ref())))
            }
            ("endswith", [Value::String(text), Value::String(affix)]) => {
                Ok(Value::Bool(text.ends_with(affix.as_ref())))
            }
            ("contains", [Value::String(text), Value::String(part)]) => {
                Ok(Value::Bool(text.contains(part.as_ref())))
            }
            // The engine's own panics on an empty needle, and counts those that overlap.
            ("strings.count", [Value::String(text), Value::String(part)]) => {
                let count = if part.is_empty() {
                    1 + text.chars().count()
                } else {
                    text.matches(part.as_ref()).count()
                };
                Ok(Value::from(length(count)))
            }
            // What is no text is no document either; the engine's own fail on it.
            ("json.is_valid" | "yaml.is_valid", [other]) if !matches!(other, Value::String(_)) => {
                Ok(Value::Bool(false))
            }
            ("trace", _) => Ok(Value::Bool(true)),
            ("walk", [value]) => Ok(walk(value)),
            ("strings.replace_n", [Value::Object(pairs), Value::String(text)]) => {
                let pairs = pairs.iter_sorted().filter_map(|pair| match pair {
                    (Value::String(old), Value::String(new)) => Some((old.as_ref(), new.as_ref())),
                    _ => None,
                });
                self.replace_n(builtin.name, pairs, text)
            }
            _ => self.engine_builtin(builtin.name, index, args),
        }
    }

    /// The engine's own implementation.
    fn engine_builtin(
        &mut self,
        name: &'static str,
        index: usize,
        args: Vec<Value>,
    ) -> Result<Value, Exhausted> {
        self.builtins.set_input(Value::from(args));
        match self.builtins.eval_rule(rule_path(index)) {
            Ok(value) => Ok(value),
            Err(error) if error.downcast_ref::<regorus::LimitError>().is_some() => {
                Err(self.trip(name, "100 KiB of compiled pattern"))
            }
            // Builtin errors are undefined.
            Err(_) => Ok(Value::Undefined),
        }
    }

    /// Each replacement is charged before it is done.
    fn replace_n<'a>(
        &mut self,
        name: &'static str,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        text: &str,
    ) -> Result<Value, Exhausted> {
        let mut text = text.to_owned();
        for (old, new) in pairs {
            let bytes = cost::text::replaced_len(&text, old, new);
            self.charge(name, Bound::Work { bytes, steps: 0 })?;
            text = text.replace(old, new);
        }
        Ok(Value::from(text))
    }

    /// Lets an operand pass. Anything that no operator takes is undefined, as the operator
    /// itself would be, without being written into an error message.
    fn operand(&mut self, value: Value) -> Result<Value, Exhausted> {
        if is_large_number(&value) {
            return Err(self.trip("operator", "16 Kibit in a number"));
        }
        let passes = self.charge("operator", cost::operand(&value))?;
        Ok(if passes { value } else { Value::Undefined })
    }

    /// Lets a side of a comparison pass.
    fn comparand(&mut self, value: Value) -> Result<Value, Exhausted> {
        self.charge("operator", cost::comparand(&value, 0))?;
        Ok(value)
    }

    /// All values inside of one with their paths, for the rewritten `walk(x)`.
    fn walked(&mut self, value: Value) -> Result<Value, Exhausted> {
        match find("walk") {
            Some((index, _)) => self.call(index, vec![value]),
            None => Ok(Value::Undefined),
        }
    }

    /// Takes `bound` from the allowance. `false` when the call has no value.
    fn charge(&mut self, name: &'static str, bound: Bound) -> Result<bool, Exhausted> {
        if self.tripped.is_some() {
            return Err(Exhausted);
        }
        let (bytes, steps) = match bound {
            Bound::Undefined => return Ok(false),
            Bound::Work { bytes, steps } => (bytes, steps),
        };
        let Some(bytes_left) = self.bytes_left.checked_sub(bytes) else {
            return Err(self.trip(name, "64 MiB of values in one evaluation"));
        };
        let Some(steps_left) = self.steps_left.checked_sub(steps) else {
            return Err(self.trip(name, "100 million steps in one evaluation"));
        };
        self.bytes_left = bytes_left;
        self.steps_left = steps_left;
        Ok(true)
    }

    fn trip(&mut self, name: &'static str, what: &'static str) -> Exhausted {
        let first = EvalError::Builtin { name, what };
        self.tripped.get_or_insert(first);
        Exhausted
    }
}

/// An engine with a rule for each builtin of `used` (indices into the table).
pub(super) fn builtins_engine(used: &[usize]) -> anyhow::Result<Engine> {
    let mut source = "package builtins\n".to_owned();
    for &index in used {
        if let Some(builtin) = TABLE.get(index).filter(|builtin| builtin.name != "walk") {
            let args: Vec<_> = (0..builtin.arity)
                .map(|at| format!("input[{at}]"))
                .collect();
            writeln!(source, "b{index} := {}({})", builtin.name, args.join(", "))?;
        }
    }
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(false);
    engine.add_policy("builtins.rego".to_owned(), source)?;
    // Prepares what clones share.
    engine.eval_query("true".to_owned(), false)?;
    Ok(engine)
}

fn rule_path(index: usize) -> String {
    format!("data.builtins.b{index}")
}

/// Puts the shadows of `used` and the guards into `engine`, all drawing on `meter`.
pub(super) fn install(
    engine: &mut Engine,
    used: &[usize],
    meter: &Arc<Mutex<Meter>>,
) -> anyhow::Result<()> {
    for &index in used {
        let Some(builtin) = TABLE.get(index) else {
            continue;
        };
        if let Treatment::Capped(types, _) = builtin.treatment {
            let meter = Arc::clone(meter);
            let call = move |args: Vec<Value>| Ok(with(&meter, |meter| meter.call(index, args))?);
            let arity = u8::try_from(types.len())?;
            engine.add_extension(builtin.name.to_owned(), arity, Box::new(call))?;
        }
    }
    guard(engine, OPERAND, meter, Meter::operand)?;
    guard(engine, COMPARAND, meter, Meter::comparand)?;
    guard(engine, WALK, meter, Meter::walked)
}

fn guard(
    engine: &mut Engine,
    name: &str,
    meter: &Arc<Mutex<Meter>>,
    check: fn(&mut Meter, Value) -> Result<Value, Exhausted>,
) -> anyhow::Result<()> {
    let meter = Arc::clone(meter);
    let call = move |args: Vec<Value>| match args.into_iter().next() {
        Some(value) => Ok(with(&meter, |meter| check(meter, value))?),
        None => Ok(Value::Undefined),
    };
    engine.add_extension(name.to_owned(), 2, Box::new(call))
}

/// Runs `act` on a meter. A poisoned one is as good: it only counts down.
pub(super) fn with<T>(meter: &Mutex<Meter>, act: impl FnOnce(&mut Meter) -> T) -> T {
    act(&mut meter.lock().unwrap_or_else(PoisonError::into_inner))
}

fn is_large_number(value: &Value) -> bool {
    match value {
        Value::Number(number) if number.as_i64().is_none() => {
            number.as_big().is_some_and(|big| big.bits() > NUMBER_BITS)
        }
        _ => false,
    }
}

/// All values inside `value` with their paths: the engine's `walk`. The size was charged and the
/// depth is bounded by measuring.
fn walk(value: &Value) -> Value {
    fn visit(path: &mut Vec<Value>, value: &Value, found: &mut Vec<Value>) {
        found.push(Value::from(vec![Value::from(path.clone()), value.clone()]));
        let mut step = |key: Value, inner: &Value| {
            path.push(key);
            visit(path, inner, found);
            path.pop();
        };
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    step(Value::from(length(index)), item);
                }
            }
            Value::Set(items) => items.iter().for_each(|item| step(item.clone(), item)),
            Value::Object(fields) => {
                for (key, field) in fields.iter_sorted() {
                    step(key.clone(), field);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    visit(&mut Vec::new(), value, &mut found);
    Value::from(found)
}
