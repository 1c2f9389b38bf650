//! The text that the engine evaluates: the policy with guards around operands, without `print`.
//!
//! Operators are not builtins, so nothing can shadow them. Three habits need a guard:
//!
//! - an operand of the wrong type is written into an error message however large it is,
//! - a comparison goes through all that its sides say,
//! - a name for an array, set or object may be used twice in the next one, and so on: what the
//!   last one says is exponential in the size of the policy (see `measure`).
//!
//! No guarded place binds a variable, so a call around it changes nothing else.
//!
//! `walk(x)` is every value inside of `x` with its path, one after the other. The engine does that only for `walk(x, output)`; with
//! one argument it gives nothing, and a rule that looks for something would never find it (T-45). So the first becomes a reference
//! into a list of all of them.
//!
//! `print` writes to standard error and has no bound; OPA erases it where nobody listens.

use super::meter::{COMPARAND, OPERAND, WALK};
use super::syntax::{AssignOp, Expr, Literal, Module, Node, Rule, Span, Statement};

/// The source with guards. Offsets come from the engine's own syntax tree of this `source`;
/// `None` when they do not fit it.
pub(super) fn guarded(module: &Module, source: &str) -> Option<String> {
    let mut edits = Edits {
        source,
        found: Vec::new(),
    };
    for rule in &module.rules {
        if !matches!(rule, Rule::Default { .. }) {
            for assign in rule.assigns() {
                edits.guard_composite(&assign.value, assign.span.start, assign.span.end);
            }
            rule.walk(&mut |node| edits.visit(&node));
        }
    }
    edits.apply()
}

/// Replacements of ranges, outer before inner where they begin together.
struct Edits<'a> {
    source: &'a str,
    found: Vec<(Span, String)>,
}

impl Edits<'_> {
    fn visit(&mut self, node: &Node<'_>) -> bool {
        match node {
            Node::Expr(Expr::Call { fcn, span, .. }) if fcn.path() == ["print"] => {
                self.found.push((*span, "true".to_owned()));
                return false;
            }
            Node::Expr(Expr::Call { fcn, params, span }) if params.len() == 1 => {
                if let (["walk"], Some(name)) = (fcn.path().as_slice(), fcn.exact_span()) {
                    self.found.push((name, WALK.to_owned()));
                    let close = Span {
                        start: span.end.saturating_sub(1),
                        end: span.end,
                    };
                    self.found.push((close, ", 0)[_]".to_owned()));
                }
            }
            Node::Expr(Expr::ArithExpr { lhs, rhs, .. } | Expr::BinExpr { lhs, rhs, .. }) => {
                self.guard(OPERAND, [lhs, rhs]);
            }
            Node::Expr(Expr::BoolExpr { lhs, rhs }) => {
                // Comparing with a scalar is one step.
                if !lhs.is_scalar() && !rhs.is_scalar() {
                    self.guard(COMPARAND, [lhs, rhs]);
                }
            }
            Node::Expr(Expr::Membership {
                value, collection, ..
            }) => {
                if !value.is_scalar() {
                    self.guard(COMPARAND, [value, collection]);
                }
            }
            Node::Expr(Expr::AssignExpr {
                span,
                op: AssignOp::ColEq,
                lhs,
                rhs,
            }) => {
                if let Some(lhs) = lhs.exact_span() {
                    self.guard_composite(rhs, lhs.end, span.end);
                }
            }
            Node::Statement(statement) => self.guard_unified(statement),
            Node::Expr(_) | Node::Declared(_) | Node::Pattern(_) | Node::With(_) => {}
        }
        true
    }

    fn guard<const N: usize>(&mut self, name: &str, operands: [&Expr; N]) {
        for operand in operands {
            // The engine does not say where an object begins; what it holds is guarded instead.
            if let Expr::Object { fields } = operand {
                for (_, key, value) in fields {
                    self.guard(COMPARAND, [key, value]);
                }
            }
            if let Some(span) = operand.exact_span() {
                self.wrap(name, span);
            }
        }
    }

    /// Guards an array, set or object that gets a name. `after` is where the operator is looked
    /// for, `end` where the value ends.
    fn guard_composite(&mut self, value: &Expr, after: usize, end: usize) {
        if !value.is_composite() {
            return;
        }
        if let Some(span) = value.exact_span() {
            self.wrap(COMPARAND, span);
        } else if let Some(rest) = self.source.get(after..end) {
            let start = rest.trim_start().trim_start_matches(':').strip_prefix('=');
            let object = start
                .map(str::trim_start)
                .filter(|rest| rest.starts_with('{'));
            if let Some(object) = object {
                let start = end - object.len();
                self.wrap(COMPARAND, Span { start, end });
            }
        }
    }

    /// Guards the name in `name = [...]`, which may bind either side, in a statement of its own.
    fn guard_unified(&mut self, statement: &Statement) {
        let Literal::Expr {
            expr:
                Expr::AssignExpr {
                    span,
                    op: AssignOp::Eq,
                    lhs,
                    rhs,
                },
        } = &statement.literal
        else {
            return;
        };
        let name = match (lhs.as_ref(), rhs.as_ref()) {
            (Expr::Var { value, .. }, other) | (other, Expr::Var { value, .. })
                if other.is_composite() && value != "_" && statement.with_mods.is_empty() =>
            {
                value
            }
            _ => return,
        };
        let end = span.end;
        self.found.push((
            Span { start: end, end },
            format!("; {COMPARAND}({name}, 0) != \"\""),
        ));
    }

    fn wrap(&mut self, name: &str, span: Span) {
        let Span { start, end } = span;
        self.found
            .push((Span { start, end: start }, format!("{name}(")));
        // The engine takes the last argument of a call for a pattern that may bind, so the
        // operand must not be the last.
        self.found
            .push((Span { start: end, end }, ", 0)".to_owned()));
    }

    fn apply(mut self) -> Option<String> {
        // Stable, so that outer guards stay outside; what is put in before a character comes before what replaces it.
        self.found.sort_by_key(|(span, _)| (span.start, span.end));
        let mut text = String::with_capacity(self.source.len());
        let mut copied = 0;
        for (span, replacement) in self.found {
            text.push_str(self.source.get(copied..span.start)?);
            text.push_str(&replacement);
            copied = span.end;
        }
        text.push_str(self.source.get(copied..)?);
        Some(text)
    }
}

#[cfg(test)]
mod tests;
