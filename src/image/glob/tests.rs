use std::time::Instant;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn set(globs: &[&str]) -> GlobSet {
    let globs: Vec<ImageGlob> = globs
        .iter()
        .map(|glob| ImageGlob::new(glob).unwrap())
        .collect();
    GlobSet::new(&globs).unwrap()
}

fn reference(text: &str) -> ImageReference {
    text.replace("@D", &format!("@{DIGEST}")).parse().unwrap()
}

/// `None`: no match; `Some(only_by_tag)`: match.
fn matched(glob: &str, text: &str) -> Option<bool> {
    let matches = set(&[glob]).matches(&reference(text));
    matches.first().map(|found| found.only_by_tag)
}

#[rstest]
#[case::empty("")]
#[case::space(" ")]
#[case::braces("ghcr.io/foo/{a,b}")]
#[case::question_mark("ghcr.io/foo/?ar")]
#[case::class("[a-z]*")]
#[case::regex(".+")]
#[case::backslash(r"ghcr.io/foo/ba\r")]
#[case::non_ascii("ghcr.io/fоо/**")]
#[case::newline("ghcr.io/foo\n")]
#[case::long(&"a".repeat(ImageGlob::MAX_BYTES + 1))]
fn refuses_what_is_no_pattern(#[case] glob: &str) {
    assert!(ImageGlob::new(glob).is_err());
}

#[test]
fn invalid_pattern_is_told_in_the_words_of_policy_controller() {
    assert_eq!(
        ImageGlob::new("ghcr.io/foo/{a,b}").unwrap_err().to_string(),
        r#"invalid glob "ghcr.io/foo/{a,b}""#
    );
}

#[rstest]
#[case::host_suffix("ghcr.io/**", "ghcr.io.evil.com/foo/bar")]
#[case::host_prefix("ghcr.io/**", "evilghcr.io/foo/bar")]
#[case::host_in_path("ghcr.io/**", "evil.com/ghcr.io/foo/bar")]
#[case::dot_is_literal("gcr.io/**", "gcrxio.com/foo/bar")]
#[case::dot_is_no_any("ghcr.io/foo/bar**", "ghcrxio/foo/bar")]
#[case::star_stays_in_the_host("*.trusted.com/*", "attacker.com/x.trusted.com/app")]
#[case::star_stays_in_the_component(
    "registry.example.com/*/app@*",
    "registry.example.com/a/b/app@D"
)]
#[case::repository_suffix("ghcr.io/foo", "ghcr.io/foo-suffix")]
#[case::no_port_is_another_port("registry.example.com/**", "registry.example.com:5000/app")]
fn t21_pattern_does_not_leak_over_host_or_path(#[case] glob: &str, #[case] image: &str) {
    assert_eq!(matched(glob, image), None);
}

#[rstest]
#[case("nginx")]
#[case("nginx:latest")]
#[case("nginx@D")]
#[case("nginx:1.25@D")]
#[case("library/nginx")]
#[case("docker.io/nginx")]
#[case("docker.io/library/nginx:1.25")]
#[case("index.docker.io/nginx")]
#[case("index.docker.io/library/nginx@D")]
#[case("index.docker.io:443/library/nginx")]
#[case("registry-1.docker.io/library/nginx:1.25@D")]
#[case("registry.hub.docker.com/library/nginx")]
#[case("Index.Docker.IO/library/nginx")]
fn t55_every_spelling_of_docker_hub_matches_its_rule(#[case] image: &str) {
    assert_eq!(matched("index.docker.io/library/*", image), Some(false));
    assert_eq!(matched("*", image), Some(false));
}

#[rstest]
#[case("docker.io.evil.com/library/nginx")]
#[case("evil.com/docker.io/library/nginx")]
#[case("index.docker.io.evil.com/library/nginx")]
#[case("localhost/library/nginx")]
fn t55_what_only_resembles_docker_hub_does_not_match_its_rule(#[case] image: &str) {
    assert_eq!(matched("index.docker.io/library/*", image), None);
    assert_eq!(matched("*", image), None);
}

#[rstest]
#[case("GHCR.IO/foo/bar")]
#[case("ghcr.io:443/foo/bar:v1")]
#[case("ghcr.io:00443/foo/bar:v1")]
#[case("Ghcr.io:443/foo/bar@D")]
fn t55_a_host_in_another_spelling_does_not_avoid_its_rule(#[case] image: &str) {
    assert_eq!(matched("ghcr.io/**", image), Some(false));
    assert_eq!(matched("ghcr.io.evil.com/**", image), None);
}

#[rstest]
#[case("index.docker.io/library/foo:latest", "foo", true)]
#[case("index.docker.io/library/foo:*", "foo", true)]
#[case("index.docker.io/*/*", "foo", true)]
#[case("index.docker.**", "foo", true)]
#[case("**", "foo", true)]
#[case("foo", "foo", true)]
#[case("foo**", "foo", true)]
#[case("*/*", "myuser/myapp", true)]
#[case("index.docker.io/myuser/*:latest", "myuser/myapp", true)]
#[case("ghcr.io/*/*", "ghcr.io/foo", false)]
#[case("*/**", "ghcr.io/foo", true)]
#[case("ghcr.io/foo*", "ghcr.io/foo", true)]
#[case("ghcr.io/a/***", "ghcr.io/a/b/c", true)]
#[case("GHCR.io/**", "ghcr.io/foo/bar", false)]
fn speaks_the_language_of_policy_controller(
    #[case] glob: &str,
    #[case] image: &str,
    #[case] expected: bool,
) {
    assert_eq!(matched(glob, image), expected.then_some(false));
}

#[rstest]
#[case::by_the_name("ghcr.io/foo/bar@*", "ghcr.io/foo/bar:v1@D", Some(false))]
#[case::by_any_tail("ghcr.io/foo/bar*", "ghcr.io/foo/bar:v1@D", Some(false))]
#[case::normalised_tag("index.docker.io/library/nginx:1.25", "nginx:1.25@D", Some(true))]
#[case::written_tag("nginx:1.25*", "nginx:1.25@D", Some(true))]
#[case::tag_and_digest("ghcr.io/foo/bar:v1@sha256:*", "ghcr.io/foo/bar:v1@D", Some(true))]
#[case::spelling_without_its_tag("nginx*", "nginx:1.25@D", Some(false))]
#[case::exact_tag("ghcr.io/foo/bar:v1", "ghcr.io/foo/bar:v1@D", Some(true))]
#[case::other_tag("ghcr.io/foo/bar:v1", "ghcr.io/foo/bar:v2@D", None)]
#[case::digest_alone_claims_no_tag("ghcr.io/foo/bar:*", "ghcr.io/foo/bar@D", None)]
#[case::digest_alone_is_not_latest("ghcr.io/foo/bar:latest", "ghcr.io/foo/bar@D", None)]
#[case::tag_alone_is_what_is_resolved("ghcr.io/foo/bar:v1", "ghcr.io/foo/bar:v1", Some(false))]
#[case::never_by_leaving_the_tag_out("nginx@sha256:*", "nginx:1.25@D", None)]
fn t60_match_that_rests_on_a_tag_beside_a_digest_says_so(
    #[case] glob: &str,
    #[case] image: &str,
    #[case] expected: Option<bool>,
) {
    assert_eq!(matched(glob, image), expected);
}

#[test]
fn matches_keep_their_places_in_ascending_order() {
    let globs = set(&[
        "nothing",
        "ghcr.io/**",
        "quay.io/**",
        "**",
        "ghcr.io/foo/bar:v1",
    ]);
    let found = globs.matches(&reference("ghcr.io/foo/bar:v1@D"));
    let expected = [(1, false), (3, false), (4, true)]
        .map(|(index, only_by_tag)| GlobMatch { index, only_by_tag });
    assert_eq!(found, expected);
}

#[test]
fn no_patterns_match_nothing() {
    assert_eq!(GlobSet::new(&[]).unwrap().matches(&reference("nginx")), []);
}

#[test]
fn ten_thousand_patterns_stay_usable() {
    let globs: Vec<ImageGlob> = (0..10_000)
        .map(|n| match n % 4 {
            0 => format!("registry.example.com/team-{n}/**"),
            1 => format!("**/app-{n}:*"),
            2 => format!("ghcr.io/*/service-{n}:v*"),
            _ => format!("*.example.com/org-{n}/*/*@sha256:*"),
        })
        .map(|glob| ImageGlob::new(&glob).unwrap())
        .collect();
    let compiling = Instant::now();
    let set = GlobSet::new(&globs).unwrap();
    println!(
        "compiled into {} automata in {:?}",
        set.automata.len(),
        compiling.elapsed()
    );
    let first = Instant::now();
    for n in 0..200 {
        let image = format!("registry.example.com/team-{n}/app-{}:v1@{DIGEST}", n + 1);
        let expected = usize::from(n % 4 == 0) * 2;
        assert_eq!(set.matches(&reference(&image)).len(), expected, "{image}");
    }
    println!("200 new references in {:?}", first.elapsed());
    let again = Instant::now();
    for n in 0..200 {
        let image = format!("registry.example.com/team-{n}/app-{}:v1@{DIGEST}", n + 1);
        assert_eq!(
            set.matches(&reference(&image)).len(),
            usize::from(n % 4 == 0) * 2
        );
    }
    println!("the same again in {:?}", again.elapsed());
}

#[test]
fn patterns_that_do_not_fit_one_automaton_are_divided_and_keep_their_index() {
    let globs: Vec<ImageGlob> = (0..100)
        .map(|n| ImageGlob::new(&format!("ghcr.io/org-{n}/**")).unwrap())
        .collect();
    let mut automata = Vec::new();
    compile(&globs, 0, 16 << 10, &mut automata).unwrap();
    assert!(automata.len() > 1);
    let set = GlobSet { automata };
    for n in 0..100 {
        let expected = [GlobMatch {
            index: n,
            only_by_tag: false,
        }];
        assert_eq!(
            set.matches(&reference(&format!("ghcr.io/org-{n}/app"))),
            expected
        );
    }
}

#[test]
fn a_pattern_that_alone_is_too_large_is_named() {
    let globs = [ImageGlob::new("a").unwrap(), ImageGlob::new("**b").unwrap()];
    let error = compile(&globs, 0, 1, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "glob \"a\" cannot be compiled within 1 bytes"
    );
}

#[test]
fn the_longest_pattern_and_the_longest_name_are_matched() {
    let glob = "*a".repeat(ImageGlob::MAX_BYTES / 2);
    let image = format!("ghcr.io/{}", "a".repeat(250));
    assert_eq!(matched(&glob, &image), None);
    assert_eq!(
        matched(&"*".repeat(ImageGlob::MAX_BYTES), &image),
        Some(false)
    );
}

/// The same language, written as plainly as possible.
fn plainly(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([], _) => text.is_empty(),
        ([b'*', b'*', glob @ ..], _) => (0..=text.len()).any(|n| plainly(glob, &text[n..])),
        ([b'*', glob @ ..], _) => {
            let run = text.iter().take_while(|b| **b != b'/').count();
            (0..=run).any(|n| plainly(glob, &text[n..]))
        }
        ([a, glob @ ..], [b, text @ ..]) => a == b && plainly(glob, text),
        (_, []) => false,
    }
}

proptest! {
    #[test]
    fn agrees_with_a_plain_reading_of_the_language(glob in "[ab./:*-]{1,10}", image in "[ab]{1,3}\\.[ab]{1,2}/[ab]{1,3}(/[ab]{1,3})?:[ab]{1,3}") {
        prop_assume!(glob != "*" && glob != "*/*");
        let reference: ImageReference = image.parse().unwrap();
        let matches = !set(&[&glob]).matches(&reference).is_empty();
        prop_assert_eq!(matches, plainly(glob.as_bytes(), image.as_bytes()));
    }

    #[test]
    fn t21_a_host_with_a_literal_name_is_matched_exactly(host in "[a-z]{1,8}(\\.[a-z]{1,8}){1,2}", image in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}(/[a-z.]{0,3}[a-z]){1,3}") {
        if let Ok(reference) = image.parse::<ImageReference>() {
            let matches = !set(&[&format!("{host}/**")]).matches(&reference).is_empty();
            prop_assert_eq!(matches, reference.repository().registry() == host);
        }
    }
}
