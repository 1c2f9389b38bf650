use std::time::Instant;

use rstest::rstest;

use super::*;

fn regexp(pattern: &str) -> GoRegexp {
    GoRegexp::new(pattern).unwrap()
}

#[rstest]
#[case::classes_are_ascii(r"^\d+$", "٣", false)]
#[case::space_has_no_vertical_tab(r"^\s$", "\u{b}", false)]
#[case::posix_space_has_one("^[[:space:]]$", "\u{b}", true)]
#[case::a_word_ends_at_a_letter_that_is_not_ascii(r"a\b", "aé", true)]
#[case::inside_a_character_is_no_place(r"^é\B$", "é", true)]
#[case::no_intersections("^[a&&b]$", "&", true)]
#[case::no_classes_within_classes("^[[a]b]$", "[b]", true)]
#[case::a_bracket_first_is_itself("^[]a]$", "]", true)]
#[case::search_is_anywhere("b", "abc", true)]
#[case::the_end_is_the_very_end("^a$", "a\n", false)]
#[case::lines_are_asked_for("(?m)^b$", "a\nb\n", true)]
#[case::a_dot_is_not_a_newline("^.$", "\n", false)]
#[case::unless_it_is_asked_for("(?s)^.$", "\n", true)]
#[case::but_a_negated_class_is("^[^a]$", "\n", true)]
#[case::folding_reaches_the_kelvin_sign("^(?i)k$", "\u{212a}", true)]
#[case::so_do_the_ascii_classes(r"^(?i)\w$", "\u{17f}", true)]
#[case::and_their_negations(r"^(?i)\W$", "\u{17f}", false)]
#[case::flags_end_with_their_group("^(a(?i)b)c$", "aBC", false)]
#[case::flags_reach_over_alternatives("^(?:a(?i)|b)$", "B", true)]
#[case::flags_are_no_operand("^a(?i)*$", "aaa", true)]
#[case::a_quotation_is_repeated_at_its_end(r"^\Qab\E*$", "abbb", true)]
#[case::a_count_that_is_none_is_text("^a{,3}$", "a{,3}", true)]
#[case::counts_nest("^(?:(?:a{2}){2})?$", "", true)]
#[case::what_may_be_absent_as_a_whole("^(?:a{2})?$", "", true)]
#[case::nothing_is_an_alternative("^(?:a|)$", "", true)]
#[case::octal(r"^\101\07$", "A\u{7}", true)]
#[case::letters_of_a_script(r"^\p{Greek}+$", "Ωμ", true)]
#[case::or_not_of_it(r"^\P{Greek}+$", "Ω", false)]
#[case::or_twice_not(r"^\P{^Greek}+$", "Ω", true)]
#[case::a_category_of_one_character(r"^\p{Zl}$", "\u{2028}", true)]
#[case::a_mark_that_moved(r"^\p{Mc}$", "\u{1171e}", false)]
// U+1C89 is a letter since Unicode 16.0; Go knows 15.0.
#[case::no_letters_of_later_versions(r"^\pL$", "\u{1c89}", false)]
#[case::nor_their_cases("^(?i)\u{19b}$", "\u{a7dc}", false)]
fn reads_patterns_as_go_does(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
    assert_eq!(regexp(pattern).is_match(text), expected);
}

#[rstest]
#[case(
    "(?=a)",
    "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"
)]
#[case(
    "a**",
    "error parsing regexp: invalid nested repetition operator: `**`"
)]
#[case("(a", "error parsing regexp: missing closing ): `(a`")]
#[case("[a--b]", "error parsing regexp: invalid character class range: `a--`")]
#[case("[z-a]", "error parsing regexp: invalid character class range: `z-a`")]
#[case(r"\8", r"error parsing regexp: invalid escape sequence: `\8`")]
#[case(
    r"\p{Grek}",
    r"error parsing regexp: invalid character class range: `\p{Grek}`"
)]
#[case("(?P<é>a)", "error parsing regexp: invalid named capture: `(?P<é>`")]
#[case("a{1001}", "error parsing regexp: invalid repeat count: `{1001}`")]
#[case(
    r"\pC",
    r"`\pC` is not the same in every version of Go; name the characters another way"
)]
#[case(
    r"\x{d800}",
    r"`\x{d800}` is no character of any text; name the characters another way"
)]
fn says_what_is_wrong(#[case] pattern: &str, #[case] expected: &str) {
    assert_eq!(GoRegexp::new(pattern).unwrap_err().to_string(), expected);
}

#[rstest]
#[case("^a$", true)]
#[case(r"\Aa\z", true)]
#[case("^(a|b)$", true)]
#[case("^a$|^b$", true)]
#[case("(?i)^a$", true)]
#[case("^a|b$", false)]
#[case("(?m)^a$", false)]
#[case(r"^a\$", false)]
#[case("^a", false)]
#[case("(^a$)?", false)]
#[case("", false)]
fn tells_what_is_anchored(#[case] pattern: &str, #[case] expected: bool) {
    assert_eq!(regexp(pattern).is_anchored(), expected);
}

/// T-19: each of these is slow or large in one engine or another.
#[rstest]
#[case::backtracking("(a+)+$".to_owned())]
#[case::many_alternatives(format!("(?:{})", vec!["ab"; 5_000].join("|")))]
#[case::large_classes_repeated(r"(?:\pL\pN\pP){300}".to_owned())]
#[case::large_classes_written_out(r"\pL".repeat(5_000))]
#[case::large_classes_folded(format!("(?i){}", r"\p{Any}".repeat(2_000)))]
#[case::large_classes_in_one(format!("(?i)[{}]", r"\x{0}-\x{10ffff}".repeat(900)))]
#[case::nested_counts("(?:(?:(?:a{10}){10}){10})".to_owned())]
#[case::deep(format!("{}a{}", "(".repeat(1_000), "b)*".repeat(1_000)))]
#[case::deep_without_groups(format!("a{}", "*(?i)".repeat(3_000)))]
#[case::as_deep_as_allowed(format!("{}a{}", "(".repeat(50), "b)*".repeat(50)))]
#[case::open_braces("{".repeat(16 * 1024))]
#[case::too_long("a".repeat(16 * 1024 + 1))]
fn no_pattern_takes_long(#[case] pattern: String) {
    let started = Instant::now();
    if let Ok(regexp) = GoRegexp::new(&pattern) {
        regexp.is_match(&"a".repeat(4_096));
    }
    let took = started.elapsed();
    assert!(took.as_secs() < 10, "{took:?}");
}

#[rstest]
#[case(&"a".repeat(16 * 1024 + 1), "more than 16 KiB of text")]
#[case(&format!("{}a{}", "(".repeat(101), ")".repeat(101)), "it nests more than 100 deep")]
#[case(r"\pL{500}", "its automaton needs more than 4 MiB")]
#[case(&format!("(?i){}", r"\p{Any}".repeat(20)), "its classes stand for too many characters")]
fn refuses_what_is_too_large(#[case] pattern: &str, #[case] expected: &'static str) {
    let error = GoRegexp::new(pattern).unwrap_err();
    assert_eq!(error, InvalidPattern::TooLarge(expected));
}
