//! The text that the engine evaluates: the policy with guards around operands, without `print`.
//!
//! Operators are not builtins, so nothing can shadow them. Two of their habits need a guard:
//! an operand of the wrong type is written into an error message however large it is, and a
//! comparison goes through all that its sides say. Both may be exponential in the size of the
//! policy (see `measure`). Neither side of these operators binds a variable, so a call around it
//! changes nothing else.
//!
//! `print` writes to standard error and has no bound; OPA erases it where nobody listens.

use super::meter::{COMPARAND, OPERAND};
use super::syntax::{Expr, Module, Node, Span};

/// The source with guards. Offsets come from the engine's own syntax tree of this `source`;
/// `None` when they do not fit it.
pub(super) fn guarded(module: &Module, source: &str) -> Option<String> {
    let mut edits = Edits::default();
    for rule in &module.rules {
        if !matches!(rule, super::syntax::Rule::Default { .. }) {
            rule.walk(&mut |node| edits.visit(&node));
        }
    }
    edits.apply(source)
}

/// Replacements of ranges, outer before inner where they begin together.
#[derive(Default)]
struct Edits(Vec<(Span, String)>);

impl Edits {
    fn visit(&mut self, node: &Node<'_>) -> bool {
        match node {
            Node::Expr(Expr::Call { fcn, span, .. }) if fcn.path() == ["print"] => {
                self.0.push((*span, "true".to_owned()));
                return false;
            }
            Node::Expr(Expr::ArithExpr { lhs, rhs, .. } | Expr::BinExpr { lhs, rhs, .. }) => {
                self.guard(OPERAND, [lhs, rhs]);
            }
            Node::Expr(Expr::UnaryExpr { expr }) => self.guard(OPERAND, [expr]),
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
            Node::Expr(_) | Node::Declared(_) | Node::Pattern(_) | Node::With(_) => {}
        }
        true
    }

    fn guard<const N: usize>(&mut self, name: &str, operands: [&Expr; N]) {
        for Span { start, end } in operands.into_iter().filter_map(Expr::exact_span) {
            self.0
                .push((Span { start, end: start }, format!("{name}(")));
            self.0.push((Span { start: end, end }, ")".to_owned()));
        }
    }

    fn apply(mut self, source: &str) -> Option<String> {
        // Stable, so that outer guards stay outside.
        self.0.sort_by_key(|(span, _)| span.start);
        let mut text = String::with_capacity(source.len());
        let mut copied = 0;
        for (span, replacement) in self.0 {
            text.push_str(source.get(copied..span.start)?);
            text.push_str(&replacement);
            copied = span.end;
        }
        text.push_str(source.get(copied..)?);
        Some(text)
    }
}
