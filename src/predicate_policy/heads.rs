//! Rules whose heads are references, and which of them the engine does not put together.
//!
//! `p[x].r contains …` and `p.b.r contains …` are one document for OPA. The engine looks `p.b` up by its path and finds only the rules
//! that are written with exactly that: what the other ones say would be missing without a word, and with it perhaps a denial. Such
//! policies are refused (T-45).

use super::error::CompileError;
use super::syntax::{Expr, Head, Module, Rule};

/// A head: its name, what follows it, and whether several rules add to one document at its end.
struct Reference<'a> {
    name: &'a str,
    /// `None` is a part that only evaluation knows.
    parts: Vec<Option<&'a str>>,
    is_set: bool,
}

/// Refuses heads of which one may name a part of the other without saying so.
pub(super) fn check(module: &Module) -> Result<(), CompileError> {
    let heads: Vec<Reference<'_>> = module.rules.iter().filter_map(Reference::of).collect();
    for general in heads.iter().filter(|head| head.parts.contains(&None)) {
        if let Some(special) = heads.iter().find(|special| general.hides(special)) {
            return Err(CompileError::OverlappingHeads {
                general: general.spoken(),
                special: special.spoken(),
            });
        }
    }
    Ok(())
}

impl<'a> Reference<'a> {
    fn of(rule: &'a Rule) -> Option<Self> {
        let is_set = matches!(
            rule,
            Rule::Spec {
                head: Head::Set { .. },
                ..
            }
        );
        let mut parts = Vec::new();
        let mut rest = rule.name();
        loop {
            match rest {
                Expr::RefDot { refr, field, .. } => {
                    parts.push(Some(field.1.as_str()));
                    rest = refr;
                }
                Expr::RefBrack { refr, index, .. } => {
                    parts.push(match index.as_ref() {
                        Expr::String { value } | Expr::RawString { value } => Some(value.as_str()),
                        _ => None,
                    });
                    rest = refr;
                }
                Expr::Var { value, .. } => {
                    parts.reverse();
                    return Some(Self {
                        name: value,
                        parts,
                        is_set,
                    });
                }
                _ => return None,
            }
        }
    }

    /// Whether a look-up by the path of `special` passes over what this head says.
    fn hides(&self, special: &Self) -> bool {
        if self.name != special.name {
            return false;
        }
        let mut pairs = self.parts.iter().zip(&special.parts).enumerate();
        let parting = pairs.find_map(|(at, (own, other))| match (own, other) {
            (None, Some(_)) => Some(Some(at)),
            (own, other) if own == other => None,
            _ => Some(None),
        });
        // One value at each end is found whichever rule gives it; anything below that, or a set, is put together of several.
        parting.flatten().is_some_and(|at| {
            special.parts.len() > at + 1
                || self.parts.len() > at + 1
                || special.is_set
                || self.is_set
        })
    }

    fn spoken(&self) -> String {
        let mut text = self.name.to_owned();
        for part in &self.parts {
            match part {
                Some(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                None => text.push_str("[…]"),
            }
        }
        text
    }
}
