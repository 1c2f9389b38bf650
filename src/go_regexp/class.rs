//! Sets of characters: Go's named classes, negation, and what `(?i)` adds to them.

use std::sync::OnceLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::names::SCRIPTS;

/// General categories whose names and meaning every version of Go shares.
const CATEGORIES: [&str; 34] = [
    "Cc", "Cf", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl",
    "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl",
    "Zp", "Zs",
];

/// The class of one range, both ends included.
pub(super) fn range(low: char, high: char) -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new(low, high)])
}

/// Everything.
pub(super) fn any() -> ClassUnicode {
    range(char::MIN, char::MAX)
}

/// Everything but the end of a line.
pub(super) fn any_but_newline() -> ClassUnicode {
    negated(range('\n', '\n'))
}

/// `d`, `s`, `w`, in lower case: ASCII only, and `\s` without vertical tab.
pub(super) fn perl(letter: char) -> Option<ClassUnicode> {
    let ranges: &[(char, char)] = match letter {
        'd' => &[('0', '9')],
        's' => &[('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')],
        'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        _ => return None,
    };
    Some(of(ranges))
}

/// `[:alpha:]` and its like, by the name between the colons.
pub(super) fn posix(name: &str) -> Option<ClassUnicode> {
    let ranges: &[(char, char)] = match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\u{7f}')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\u{1f}'), ('\u{7f}', '\u{7f}')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    };
    Some(of(ranges))
}

/// `\p{…}`, by the name between the braces.
pub(super) fn unicode(name: &str) -> Option<ClassUnicode> {
    let property = if name == "Any" {
        return Some(any());
    } else if CATEGORIES.contains(&name) {
        format!(r"\p{{gc={name}}}")
    } else if SCRIPTS.binary_search(&name).is_ok() {
        format!(r"\p{{sc={name}}}")
    } else {
        return None;
    };
    let mut class = property_class(&property)?;
    class.intersect(known_to_go()?);
    // The one character of Unicode 15.0 whose category Unicode 16.0 changed, from nonspacing mark to spacing mark.
    let changed = range('\u{1171e}', '\u{1171e}');
    match name {
        "Mc" => class.difference(&changed),
        "Mn" => class.union(&changed),
        _ => {}
    }
    Some(class)
}

/// The class with all other cases of its characters.
pub(super) fn folded(class: &ClassUnicode) -> Option<ClassUnicode> {
    let mut folded = class.clone();
    folded.try_case_fold_simple().ok()?;
    folded.intersect(known_to_go()?);
    folded.union(class);
    Some(folded)
}

/// Everything that is not in the class.
pub(super) fn negated(mut class: ClassUnicode) -> ClassUnicode {
    class.negate();
    class
}

fn of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(
        ranges
            .iter()
            .map(|(low, high)| ClassUnicodeRange::new(*low, *high)),
    )
}

/// The characters that Unicode 15.0 assigned.
fn known_to_go() -> Option<&'static ClassUnicode> {
    static KNOWN: OnceLock<Option<ClassUnicode>> = OnceLock::new();
    KNOWN
        .get_or_init(|| property_class(r"\p{age=15.0}"))
        .as_ref()
}

fn property_class(property: &str) -> Option<ClassUnicode> {
    match regex_syntax::parse(property).ok()?.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one character.
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(range(c, c))
        }
        _ => None,
    }
}
