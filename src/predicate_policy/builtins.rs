//! Every builtin of the engine, and what this product allows it to do (T-13, T-14).
//!
//! The engine checks its clock between builtins, never inside one, and has no bound on memory. So
//! each builtin is either refused, or shadowed: an extension of the same name, which the engine
//! looks up first, bounds the work from the arguments before any of it is done.
//!
//! Shadows also check the types of arguments. The engine answers a wrong type with an error that
//! holds the argument as text, which for a value that shares its parts may be beyond any memory.
//!
//! `tests/rego.rs` compares the table with the engine's own registry.

use regorus::Value;

use super::cost::{self, Bound, text};

/// Types that an argument may have.
pub(super) type Types = u8;
const S: Types = 1;
const N: Types = 2;
const A: Types = 4;
const O: Types = 8;
const T: Types = 16;
const NULL: Types = 32;
const BOOL: Types = 64;
/// Arrays and sets.
const C: Types = A | T;
const ANY: Types = S | N | A | O | T | NULL | BOOL;

/// What happens to calls of a builtin.
#[derive(Clone, Copy)]
pub(super) enum Treatment {
    /// Left to the engine: takes no arguments, does no work.
    Allowed,
    /// Types are checked and the bound of the work is charged before it is done.
    Capped(&'static [Types], fn(&[Value]) -> Bound),
    /// A policy that names it does not compile.
    Refused(&'static str),
}

/// One builtin.
pub(super) struct Builtin {
    pub(super) name: &'static str,
    pub(super) arity: usize,
    pub(super) treatment: Treatment,
}

/// The builtin of this name and its place in [`TABLE`].
pub(super) fn find(name: &str) -> Option<(usize, &'static Builtin)> {
    TABLE
        .iter()
        .enumerate()
        .find(|(_, builtin)| builtin.name == name)
}

/// Whether `value` has one of `types`.
pub(super) fn has_type(value: &Value, types: Types) -> bool {
    let own = match value {
        Value::String(_) => S,
        Value::Number(_) => N,
        Value::Array(_) => A,
        Value::Object(_) => O,
        Value::Set(_) => T,
        Value::Null => NULL,
        Value::Bool(_) => BOOL,
        Value::Undefined => 0,
    };
    types & own != 0
}

const fn capped(
    name: &'static str,
    types: &'static [Types],
    bound: fn(&[Value]) -> Bound,
) -> Builtin {
    let arity = types.len();
    let treatment = Treatment::Capped(types, bound);
    Builtin {
        name,
        arity,
        treatment,
    }
}

const fn refused(name: &'static str, arity: usize, why: &'static str) -> Builtin {
    let treatment = Treatment::Refused(why);
    Builtin {
        name,
        arity,
        treatment,
    }
}

const REACHES_OUT: &str = "policies may not reach the network or the process";
const VARIES: &str = "the same evidence must give the same answer every time";
const UNBOUNDED: &str = "its work cannot be bounded before it starts";

/// The builtins, by name. `print` is not one of them: calls to it are erased, as OPA does.
pub(super) static TABLE: &[Builtin] = &[
    capped("__builtin_sets.intersection", &[T, T], cost::entries),
    capped("__builtin_sets.union", &[T, T], cost::entries),
    capped("abs", &[N], cost::small),
    capped("array.concat", &[A, A], cost::entries),
    capped("array.reverse", &[A], cost::entries),
    capped("array.slice", &[A, N, N], cost::entries),
    capped("base64.decode", &[S], text::text_x3),
    capped("base64.encode", &[S], text::text_x3),
    capped("base64.is_valid", &[S], text::text_x3),
    capped("base64url.decode", &[S], text::text_x3),
    capped("base64url.encode", &[S], text::text_x3),
    capped("base64url.encode_no_pad", &[S], text::text_x3),
    capped("bits.and", &[N, N], cost::small),
    capped("bits.lsh", &[N, N], cost::left_shift),
    capped("bits.negate", &[N], cost::small),
    capped("bits.or", &[N, N], cost::small),
    capped("bits.rsh", &[N, N], cost::small),
    capped("bits.xor", &[N, N], cost::small),
    capped("ceil", &[N], cost::small),
    capped("concat", &[S, C], text::concat),
    capped("contains", &[S, S], text::search),
    capped("count", &[S | A | T | O], cost::small),
    capped("endswith", &[S, S], cost::small),
    capped("floor", &[N], cost::small),
    capped("format_int", &[N, N], cost::small),
    capped("glob.match", &[S, A | NULL, S], text::glob_match),
    capped("glob.quote_meta", &[S], text::glob_quote),
    capped("graph.reachable", &[O, C], cost::tree_x4),
    refused("graph.reachable_paths", 2, UNBOUNDED),
    capped("hex.decode", &[S], text::text_x3),
    capped("hex.encode", &[S], text::text_x3),
    refused("http.send", 1, REACHES_OUT),
    capped("indexof", &[S, S], text::index_of),
    capped("indexof_n", &[S, S], text::index_of_n),
    capped("intersection", &[T], cost::folded_sets),
    capped("is_array", &[ANY], cost::small),
    capped("is_boolean", &[ANY], cost::small),
    capped("is_null", &[ANY], cost::small),
    capped("is_number", &[ANY], cost::small),
    capped("is_object", &[ANY], cost::small),
    capped("is_set", &[ANY], cost::small),
    capped("is_string", &[ANY], cost::small),
    capped("json.filter", &[O, C], cost::tree_x4),
    capped("json.is_valid", &[ANY], text::json_text),
    capped("json.marshal", &[ANY], cost::json_marshal),
    capped(
        "json.marshal_with_options",
        &[ANY, O],
        cost::json_marshal_pretty,
    ),
    refused("json.match_schema", 2, UNBOUNDED),
    capped("json.patch", &[ANY, A], cost::json_patch),
    capped("json.remove", &[O, C], cost::tree_x4),
    capped("json.unmarshal", &[S], text::json_text),
    refused("json.verify_schema", 1, UNBOUNDED),
    capped("lower", &[S], text::text_x3),
    capped("max", &[C], cost::compared),
    capped("min", &[C], cost::compared),
    refused("net.cidr_contains", 2, REACHES_OUT),
    refused("net.cidr_expand", 1, REACHES_OUT),
    refused("net.cidr_is_valid", 1, REACHES_OUT),
    capped("numbers.range", &[N, N], cost::range),
    capped("numbers.range_step", &[N, N, N], cost::range_step),
    capped("object.filter", &[O, A | T | O], cost::tree_x4),
    capped("object.get", &[O, ANY, ANY], cost::object_get),
    capped("object.keys", &[O], cost::entries),
    capped("object.remove", &[O, A | T | O], cost::tree_x4),
    capped("object.subset", &[ANY, ANY], cost::object_subset),
    capped("object.union", &[O, O], cost::tree_x4),
    capped("object.union_n", &[A], cost::folded_objects),
    refused("opa.runtime", 0, REACHES_OUT),
    capped("product", &[C], cost::product),
    refused("rand.intn", 2, VARIES),
    capped(
        "regex.find_all_string_submatch_n",
        &[S, S, N],
        text::regex_submatches,
    ),
    capped("regex.find_n", &[S, S, N], text::regex_find),
    capped("regex.is_valid", &[ANY], text::regex_is_valid),
    capped("regex.match", &[S, S], text::regex_match),
    capped("regex.replace", &[S, S, S], text::regex_replace),
    capped("regex.split", &[S, S], text::regex_split),
    capped("regex.template_match", &[S, S, S, S], text::regex_template),
    capped("replace", &[S, S, S], text::replace),
    capped("round", &[N], cost::small),
    capped("semver.compare", &[S, S], text::text_x3),
    capped("semver.is_valid", &[ANY], text::text_x3),
    capped("sort", &[C], cost::compared),
    capped("split", &[S, S], text::split),
    capped("sprintf", &[S, A], text::sprintf),
    capped("startswith", &[S, S], cost::small),
    capped(
        "strings.any_prefix_match",
        &[S | A | T, S | A | T],
        text::any_affix,
    ),
    capped(
        "strings.any_suffix_match",
        &[S | A | T, S | A | T],
        text::any_affix,
    ),
    capped("strings.count", &[S, S], text::index_of),
    capped("strings.replace_n", &[O, S], text::replace_n),
    capped("strings.reverse", &[S], text::text_x3),
    capped("substring", &[S, N, N], text::text_x3),
    capped("sum", &[C], cost::compared),
    refused("test.sleep", 1, UNBOUNDED),
    capped("time.add_date", &[N | A, N, N, N], text::time),
    capped("time.clock", &[N | A], text::time),
    capped("time.date", &[N | A], text::time),
    capped("time.diff", &[N | A, N | A], text::time),
    capped("time.format", &[N | A], text::time),
    // Varies, but policies use it to judge the age of a scan, and policy-controller has it. The
    // engine gives one value for a whole evaluation.
    Builtin {
        name: "time.now_ns",
        arity: 0,
        treatment: Treatment::Allowed,
    },
    capped("time.parse_duration_ns", &[S], text::time),
    capped("time.parse_ns", &[S, S], text::time),
    capped("time.parse_rfc3339_ns", &[S], text::time),
    capped("time.weekday", &[N | A], text::time),
    capped("to_number", &[S | N | BOOL | NULL], text::number_text),
    capped("trace", &[S], cost::small),
    capped("trim", &[S, S], text::trim),
    capped("trim_left", &[S, S], text::trim),
    capped("trim_prefix", &[S, S], text::text_x3),
    capped("trim_right", &[S, S], text::trim),
    capped("trim_space", &[S], text::text_x3),
    capped("trim_suffix", &[S, S], text::text_x3),
    capped("type_name", &[ANY], cost::small),
    capped("union", &[T], cost::folded_sets),
    capped("units.parse", &[S], text::number_text),
    capped("units.parse_bytes", &[S], text::number_text),
    capped("upper", &[S], text::text_x3),
    capped("urlquery.decode", &[S], text::text_x3),
    capped("urlquery.decode_object", &[S], text::text_entries),
    capped("urlquery.encode", &[S], text::text_x3),
    capped("urlquery.encode_object", &[O], cost::tree_x4),
    refused("uuid.parse", 1, VARIES),
    refused("uuid.rfc4122", 1, VARIES),
    capped("walk", &[ANY], cost::walk),
    capped("yaml.is_valid", &[ANY], text::yaml_text),
    capped("yaml.marshal", &[ANY], cost::yaml_marshal),
    capped("yaml.unmarshal", &[S], text::yaml_text),
];
