//! How a stranger's text is made harmless, and how text is cut.
//!
//! References, Rego messages, predicate types, annotations and what a registry answers are chosen by whoever wants to be admitted.
//! They reach terminals, Events, audit logs and web pages. Here they lose what could leave the line, move the cursor, or hide and
//! reorder what stands beside them (CVE-2026-44245, and "Trojan Source", CVE-2021-42574).

/// Stands where text was cut.
pub(super) const ELLIPSIS: &str = "…";

/// `text` as one printable line of at most `max` bytes, `…` included.
///
/// Line breaks and tabs become one space. Other control characters, everything invisible, and what would open an HTML tag are
/// written as `\u{1b}`: dashboards show these texts too.
pub fn line(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    let mut characters = text.trim().chars().peekable();
    while let Some(c) = characters.next() {
        let opens_tag = c == '<'
            && characters
                .peek()
                .is_some_and(|next| next.is_ascii_alphabetic() || "/!?".contains(*next));
        match c {
            '\n' | '\r' | '\t' | ' ' if shown.ends_with(' ') => {}
            '\n' | '\r' | '\t' => shown.push(' '),
            c if opens_tag || is_hidden(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
        // One character too many is enough to know that it must be cut; the rest may be megabytes.
        if shown.len() > max {
            break;
        }
    }
    cut(shown, max)
}

/// `text` cut to at most `max` bytes, `…` included, between characters. For text of ours, or that [`line`] has made.
pub(super) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let room = max.saturating_sub(ELLIPSIS.len());
        let end = (0..=room)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        if max >= ELLIPSIS.len() {
            text.push_str(ELLIPSIS);
        }
    }
    text
}

/// `items` with `separator` between them, in at most `max` bytes: items that do not fit are counted, never halved.
pub(super) fn join(items: &[String], separator: &str, max: usize) -> String {
    let all = items.join(separator);
    if all.len() <= max {
        return all;
    }
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        let left = items.len() - index;
        let comma = if index == 0 { "" } else { separator };
        let reserve = separator.len() + and_more(left).len();
        if joined.len() + comma.len() + item.len() + reserve > max {
            joined.push_str(comma);
            joined.push_str(&and_more(left));
            break;
        }
        joined.push_str(comma);
        joined.push_str(item);
    }
    cut(joined, max)
}

/// How many are not shown.
pub(super) fn and_more(count: usize) -> String {
    format!("{ELLIPSIS} and {count} more")
}

/// Characters that nobody sees and that change what is seen: controls, marks of direction, zero-width and format characters, tags.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_become_spaces_and_controls_are_spelled_out() {
        assert_eq!(line("one\r\n  two\tthree\n", 64), "one two three");
        assert_eq!(line("\u{1b}[2Jgone", 64), "\\u{1b}[2Jgone");
        assert_eq!(
            line("a\u{202e}b\u{200b}c\u{e0041}", 64),
            "a\\u{202e}b\\u{200b}c\\u{e0041}"
        );
        assert_eq!(line("größe ✓", 64), "größe ✓");
    }

    #[test]
    fn tags_are_not_opened_and_comparisons_stay() {
        assert_eq!(
            line("<script>a < b</script>", 64),
            "\\u{3c}script>a < b\\u{3c}/script>"
        );
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(line("abcdef", 6), "abcdef");
        assert_eq!(line("abcdefg", 6), "abc…");
        assert_eq!(line("ééééé", 6), "é…");
        assert_eq!(cut("abc".to_owned(), 2), "");
    }

    #[test]
    fn lists_count_what_does_not_fit() {
        let items = ["a".repeat(8), "b".repeat(8), "c".repeat(8)];
        assert_eq!(join(&items, ", ", 28), "aaaaaaaa, bbbbbbbb, cccccccc");
        assert_eq!(join(&items, ", ", 27), "aaaaaaaa, … and 2 more");
    }
}
