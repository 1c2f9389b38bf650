//! Who calls whom in a policy, and what that forbids (T-13, T-14).
//!
//! The engine finds unknown functions when it meets them and recursive functions never: they
//! exhaust the native stack. So the whole call graph is known before anything is evaluated.
//! Over-approximation is fine (OPA refuses the same programs): a reference whose end only
//! evaluation knows reaches everything below its beginning.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::builtins::{Treatment, find};
use super::error::CompileError;
use super::lexical::too_large;
use super::syntax::{AssignOp, Expr, Module, Node, Rule, Span};

/// The package of every policy.
const PACKAGE: [&str; 2] = ["data", "sigstore"];
/// The rule that is asked.
const QUERY: &str = "isCompliant";
/// How deep evaluation may nest, in statements and expressions along the deepest chain of calls.
/// The worst shapes fill a stack of one mebibyte at 480; threads have two by default.
const DEPTH: usize = 300;
/// Most rules.
const RULES: usize = 2000;

/// A path from `data`, `input` or a builtin's namespace.
type Path = Vec<String>;

/// Checks the names, calls and references of a policy. Returns the builtins that it uses, as
/// indices into the table.
pub(super) fn check(module: &Module, source: &str) -> Result<Vec<usize>, CompileError> {
    let package = module.package.refr.path();
    if package != PACKAGE[1..] {
        let found = package.join(".");
        return Err(CompileError::Package { found });
    }
    if module.rules.len() > RULES {
        return Err(too_large("rules", module.rules.len(), RULES));
    }
    let graph = Graph::of(module, source);
    if !graph
        .rules
        .keys()
        .any(|path| path.get(2).is_some_and(|name| name == QUERY))
    {
        return Err(CompileError::MissingRule);
    }
    let mut used = BTreeSet::new();
    for node in graph.rules.values() {
        for call in &node.calls {
            used.extend(graph.resolve(call)?);
        }
        for path in &node.replaced {
            used.extend(graph.builtin(path)?);
        }
    }
    graph.check_order()?;
    Ok(used.into_iter().collect())
}

/// Everything of one name.
#[derive(Default)]
struct Name {
    is_function: bool,
    depth: usize,
    calls: Vec<Call>,
    references: Vec<Path>,
    /// Both sides of `with` where they may be functions.
    replaced: Vec<Path>,
}

struct Call {
    path: Path,
    arguments: usize,
}

struct Graph {
    rules: BTreeMap<Path, Name>,
}

impl Graph {
    fn of(module: &Module, source: &str) -> Self {
        let aliases = aliases(module, source);
        let mut rules: BTreeMap<Path, Name> = BTreeMap::new();
        for rule in &module.rules {
            let own = rule.name().path();
            let path = PACKAGE
                .iter()
                .chain(&own)
                .map(|&name| name.to_owned())
                .collect();
            let name = rules.entry(path).or_default();
            name.is_function |= rule.arguments().is_some();
            name.depth = name.depth.max(rule.depth());
            name.read(rule, source, &aliases);
        }
        Self { rules }
    }

    /// The builtin that is called, unless the call is to a function of the policy.
    fn resolve(&self, call: &Call) -> Result<Option<usize>, CompileError> {
        if self
            .rules
            .get(&call.path)
            .is_some_and(|name| name.is_function)
        {
            return Ok(None);
        }
        let name = spoken(&call.path);
        if name == "print" {
            return Ok(None);
        }
        let Some((index, builtin)) = find(&name) else {
            return Err(CompileError::UnknownFunction { name });
        };
        refuse(builtin)?;
        // The value may be bound by one more argument.
        if call.arguments != builtin.arity && call.arguments != builtin.arity + 1 {
            return Err(CompileError::Arity {
                name,
                expected: builtin.arity,
                found: call.arguments,
            });
        }
        Ok(Some(index))
    }

    /// The builtin of this path, if it is one.
    fn builtin(&self, path: &Path) -> Result<Option<usize>, CompileError> {
        if self.rules.contains_key(path) {
            return Ok(None);
        }
        match find(&spoken(path)) {
            Some((index, builtin)) => refuse(builtin).map(|()| Some(index)),
            None => Ok(None),
        }
    }

    /// Refuses cycles and chains that nest too deeply. The walk keeps its own stack.
    fn check_order(&self) -> Result<(), CompileError> {
        let names: Vec<(&Path, &Name)> = self.rules.iter().collect();
        let successors: Vec<Vec<usize>> = names
            .iter()
            .map(|(_, name)| {
                let is_reached = |path: &Path| {
                    name.calls.iter().any(|call| call.path == *path)
                        || name
                            .references
                            .iter()
                            .chain(&name.replaced)
                            .any(|reference| {
                                path.starts_with(reference) || reference.starts_with(path)
                            })
                };
                let reached = names.iter().enumerate();
                reached
                    .filter(|(_, (path, _))| is_reached(path))
                    .map(|(at, _)| at)
                    .collect()
            })
            .collect();
        let mut depths: Vec<Option<usize>> = vec![None; names.len()];
        for start in 0..names.len() {
            let mut stack = vec![(start, 0_usize, 0_usize)];
            while let Some((at, next, below)) = stack.pop() {
                if let Some(depth) = depths.get(at).copied().flatten() {
                    raise(&mut stack, depth);
                    continue;
                }
                if let Some(&successor) = successors.get(at).and_then(|all| all.get(next)) {
                    stack.push((at, next + 1, below));
                    if let Some(from) = stack.iter().position(|(on, ..)| *on == successor) {
                        let cycle = stack.iter().skip(from).map(|(on, ..)| *on);
                        let cycle = cycle.chain([successor]);
                        let cycle = cycle.filter_map(|on| names.get(on));
                        let cycle = cycle.map(|(path, _)| spoken(path)).collect();
                        return Err(CompileError::RecursiveCall { cycle });
                    }
                    stack.push((successor, 0, 0));
                    continue;
                }
                let depth = below + names.get(at).map_or(0, |(_, name)| name.depth);
                if depth > DEPTH {
                    return Err(too_large("levels of evaluation", depth, DEPTH));
                }
                if let Some(known) = depths.get_mut(at) {
                    *known = Some(depth);
                }
                raise(&mut stack, depth);
            }
        }
        Ok(())
    }
}

/// Tells the caller on top of the stack how deep a callee is.
fn raise(stack: &mut [(usize, usize, usize)], depth: usize) {
    if let Some((_, _, below)) = stack.last_mut() {
        *below = (*below).max(depth);
    }
}

fn refuse(builtin: &super::builtins::Builtin) -> Result<(), CompileError> {
    match builtin.treatment {
        Treatment::Refused(why) => Err(CompileError::ForbiddenBuiltin {
            name: builtin.name.to_owned(),
            why,
        }),
        Treatment::Allowed | Treatment::Capped(..) => Ok(()),
    }
}

/// A path as people write it: what is in the package without the package.
fn spoken(path: &Path) -> String {
    let local = path.strip_prefix(PACKAGE.map(str::to_owned).as_slice());
    local
        .filter(|local| !local.is_empty())
        .unwrap_or(path)
        .join(".")
}

/// What the names of imports stand for.
fn aliases<'a>(module: &'a Module, source: &'a str) -> HashMap<&'a str, Vec<&'a str>> {
    let mut aliases = HashMap::new();
    for import in &module.imports {
        let path = import.refr.path();
        if !matches!(path.first(), Some(&("data" | "input"))) {
            continue;
        }
        let name = match import.r#as {
            Some(span) => text(source, span),
            None => path.last().copied(),
        };
        if let Some(name) = name {
            aliases.insert(name, path);
        }
    }
    aliases
}

fn text(source: &str, span: Span) -> Option<&str> {
    source.get(span.start..span.end)
}

impl Name {
    /// Adds what `rule` calls and refers to.
    fn read(&mut self, rule: &Rule, source: &str, aliases: &HashMap<&str, Vec<&str>>) {
        let locals = locals(rule, source);
        let absolute = |path: &[&str]| -> Option<Path> {
            let (first, rest) = path.split_first()?;
            let start: Vec<&str> = match aliases.get(first) {
                Some(target) => target.clone(),
                None if matches!(*first, "data" | "input") => vec![first],
                None => PACKAGE.into_iter().chain([*first]).collect(),
            };
            Some(
                start
                    .into_iter()
                    .chain(rest.iter().copied())
                    .map(str::to_owned)
                    .collect(),
            )
        };
        let is_local = |path: &[&str]| path.first().is_some_and(|first| locals.contains(first));
        rule.walk(&mut |node| {
            match node {
                Node::Expr(Expr::Call { fcn, params, .. }) => {
                    if let Some(path) = absolute(&fcn.path()) {
                        self.calls.push(Call {
                            path,
                            arguments: params.len(),
                        });
                    }
                }
                Node::Expr(
                    expr @ (Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. }),
                ) => {
                    let path = expr.path();
                    if !is_local(&path) {
                        self.references.extend(absolute(&path));
                    }
                }
                Node::With(with) => {
                    for side in [&with.refr, &with.r#as] {
                        let path = absolute(&side.path());
                        self.replaced.extend(path.filter(is_function_path));
                    }
                }
                Node::Expr(_) | Node::Declared(_) | Node::Pattern(_) | Node::Statement(_) => {}
            }
            true
        });
    }
}

/// Whether a side of `with` may name a function: documents are only data.
fn is_function_path(path: &Path) -> bool {
    path.first().is_some_and(|first| first == PACKAGE[0]) && path.len() > PACKAGE.len()
}

/// The names that the rule declares: arguments, `:=`, `some`, `every`.
fn locals<'a>(rule: &'a Rule, source: &'a str) -> HashSet<&'a str> {
    let mut locals = HashSet::new();
    for argument in rule.arguments().unwrap_or_default() {
        argument.variables(&mut |name| {
            locals.insert(name);
        });
    }
    rule.walk(&mut |node| {
        match node {
            Node::Expr(Expr::AssignExpr {
                op: AssignOp::ColEq,
                lhs,
                ..
            }) => {
                lhs.variables(&mut |name| {
                    locals.insert(name);
                });
            }
            Node::Declared(span) => locals.extend(text(source, span)),
            Node::Pattern(pattern) => pattern.variables(&mut |name| {
                locals.insert(name);
            }),
            Node::Expr(_) | Node::With(_) | Node::Statement(_) => {}
        }
        true
    });
    locals
}
