//! Which globs Go's `filepath.Match` cannot read: policy-controller asks it first, so its words come first.

use std::iter::Peekable;
use std::str::Chars;

/// Whether a class is not closed or an escape has nothing to escape. Everything else that is no glob has other words.
pub(in crate::policy) fn is_syntax_error(glob: &str) -> bool {
    let mut rest = glob.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.next().is_none() => return true,
            '[' => {
                rest.next_if_eq(&'^');
                let mut is_first = true;
                while is_first || rest.next_if_eq(&']').is_none() {
                    is_first = false;
                    if class_character(&mut rest).is_none() {
                        return true;
                    }
                    if rest.next_if_eq(&'-').is_some() && class_character(&mut rest).is_none() {
                        return true;
                    }
                }
            }
            _ => {}
        }
    }
    false
}

/// One character of a class; `-` and `]` must be escaped.
fn class_character(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    match rest.next() {
        Some('\\') => rest.next(),
        c => c.filter(|c| !['-', ']'].contains(c)),
    }
}
