use std::collections::HashSet;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn text(short: &str) -> String {
    short.replace("@D", &format!("@{DIGEST}"))
}

fn reference(short: &str) -> ImageReference {
    text(short).parse().unwrap()
}

#[rstest]
#[case("nginx", "docker.io/library/nginx:latest")]
#[case("nginx@D", "docker.io/library/nginx@D")]
#[case("nginx:1.25@D", "docker.io/library/nginx:1.25@D")]
#[case("index.docker.io/nginx", "docker.io/library/nginx:latest")]
#[case("index.docker.io/a/b", "docker.io/a/b:latest")]
#[case("localhost/nginx", "localhost/nginx:latest")]
#[case("localhost:5000", "docker.io/library/localhost:5000")]
#[case("[::1]:5000/a", "[::1]:5000/a:latest")]
#[case("Registry.Example.com/a", "Registry.Example.com/a:latest")]
#[case("reg_istry.io/a/b", "reg_istry.io/a/b:latest")]
#[case("host:99999/a__b/c.d-e---f", "host:99999/a__b/c.d-e---f:latest")]
fn t61_reads_what_the_container_runtime_reads(#[case] written: &str, #[case] canonical: &str) {
    assert_eq!(reference(written).to_string(), text(canonical));
    assert_eq!(reference(written).written(), text(written));
}

#[rstest]
#[case::empty("")]
#[case::leading_space(" nginx")]
#[case::trailing_space("nginx ")]
#[case::line_break("nginx\n")]
#[case::nul("nginx\0")]
#[case::homoglyph("nginх")]
#[case::percent("%6eginx")]
#[case::scheme("https://ghcr.io/a/b")]
#[case::trailing_dot_host("ghcr.io./a/b")]
#[case::host_without_port_digits("host:/a")]
#[case::host_with_underscore_and_port("reg_istry.io:5000/a")]
#[case::open_address("[::1/a")]
#[case::zoned_address("[fe80::1%25eth0]/a")]
#[case::upper_case_path("ghcr.io/Foo/bar")]
#[case::upper_case_image("Nginx")]
#[case::three_underscores("a___b")]
#[case::two_dots("a..b")]
#[case::mixed_joint("a._b")]
#[case::empty_component("a//b")]
#[case::parent("../x")]
#[case::trailing_slash("docker.io/nginx/")]
#[case::empty_tag("nginx:")]
#[case::tag_with_slash("ghcr.io/a:b/c")]
#[case::tag_begins_with_dot("nginx:.1")]
#[case::empty_digest("nginx@")]
#[case::two_digests("nginx@D@D")]
#[case::tag_after_digest("nginx@D:v1")]
#[case::identifier("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
fn t61_refuses_what_the_container_runtime_refuses(#[case] written: &str) {
    assert!(
        text(written).parse::<ImageReference>().is_err(),
        "{written:?}"
    );
}

#[rstest]
#[case::upper_case_hex(&DIGEST.to_uppercase().replace("SHA", "sha"))]
#[case::short(&DIGEST[..DIGEST.len() - 1])]
#[case::long(&format!("{DIGEST}0"))]
#[case::unknown_algorithm("md5:0123456789abcdef0123456789abcdef")]
#[case::sha512_of_64(&DIGEST.replace("sha256", "sha512"))]
#[case::sha512(&format!("sha512:{}", "0".repeat(128)))]
#[case::sha384(&format!("sha384:{}", "0".repeat(96)))]
fn t54_refuses_a_reference_with_a_malformed_digest(#[case] digest: &str) {
    let error = format!("ghcr.io/a/b@{digest}")
        .parse::<ImageReference>()
        .unwrap_err();
    assert!(
        matches!(
            error,
            InvalidReference::InvalidDigest { .. } | InvalidReference::UnsupportedDigest { .. }
        ),
        "{error}"
    );
}

#[test]
fn t61_refuses_a_name_of_4096_bytes_by_its_length_and_does_not_repeat_it() {
    let error = "a".repeat(4096).parse::<ImageReference>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "image reference has 4096 bytes, at most 512 are read"
    );
}

#[rstest]
#[case(
    "nginx latest",
    "image reference has ' ' at position 5, which no part of a reference may contain"
)]
#[case("ghcr.io/Foo/bar", "repository path \"Foo/bar\" must be lower case")]
#[case(
    "host:/a",
    "registry \"host:\" is not a host name or address with an optional port"
)]
#[case(
    "a//b",
    "component \"\" of repository path \"a//b\" is not lower-case letters and digits joined by \".\", \"_\", \"__\" or \"-\""
)]
fn says_which_part_is_wrong(#[case] written: &str, #[case] message: &str) {
    assert_eq!(
        written.parse::<ImageReference>().unwrap_err().to_string(),
        message
    );
}

#[test]
fn t55_every_spelling_is_one_reference() {
    let spellings = [
        "nginx",
        "nginx:latest",
        "library/nginx",
        "docker.io/nginx",
        "index.docker.io/library/nginx:latest",
    ];
    let distinct: HashSet<ImageReference> = spellings.into_iter().map(reference).collect();
    assert_eq!(distinct.len(), 1);
}

#[rstest]
#[case::another_tag("nginx:1", "nginx:2")]
#[case::another_host("nginx", "ghcr.io/library/nginx")]
#[case::another_port("localhost:1/a", "localhost:2/a")]
#[case::digest_alone_is_not_latest("nginx@D", "nginx:latest@D")]
fn t55_other_images_are_other_references(#[case] one: &str, #[case] other: &str) {
    assert_ne!(reference(one), reference(other));
}

#[rstest]
#[case(
    "nginx",
    "index.docker.io/library/nginx:latest",
    Some("index.docker.io/library/nginx:latest")
)]
#[case(
    "nginx:1@D",
    "index.docker.io/library/nginx@D",
    Some("index.docker.io/library/nginx:1")
)]
#[case("ghcr.io/a/b@D", "ghcr.io/a/b@D", None)]
fn matching_name_prefers_the_digest(
    #[case] written: &str,
    #[case] name: &str,
    #[case] with_tag: Option<&str>,
) {
    assert_eq!(reference(written).matching_name(), text(name));
    assert_eq!(
        reference(written).matching_name_with_tag().as_deref(),
        with_tag
    );
}

#[rstest]
#[case("nginx", "nginx:latest@D")]
#[case("docker.io/nginx:1.25", "docker.io/nginx:1.25@D")]
#[case("localhost:5000/a", "localhost:5000/a:latest@D")]
#[case("nginx@D", "nginx@D")]
#[case("nginx:1.25@D", "nginx:1.25@D")]
fn pinning_keeps_the_spelling_and_pinning_twice_changes_nothing(
    #[case] written: &str,
    #[case] pinned: &str,
) {
    let once = reference(written).pinned_spelling(&DIGEST.parse().unwrap());
    assert_eq!(once, text(pinned));
    assert_eq!(
        reference(&once).pinned_spelling(&Digest::sha256_of(b"other")),
        once
    );
}

#[rstest]
#[case("ghcr.io/org/sigs", Some("ghcr.io/org/sigs"))]
#[case("sigs", Some("docker.io/library/sigs"))]
#[case("localhost:5000/sigs", Some("localhost:5000/sigs"))]
#[case("ghcr.io/org/sigs:v1", None)]
#[case("ghcr.io/org/sigs@D", None)]
#[case("localhost:5000", None)]
#[case("ghcr.io/org/../sigs", None)]
fn repository_has_neither_tag_nor_digest(#[case] written: &str, #[case] canonical: Option<&str>) {
    let repository = Repository::parse(&text(written))
        .ok()
        .map(|repository| repository.to_string());
    assert_eq!(repository.as_deref(), canonical);
}

proptest! {
    #[test]
    fn display_reads_back_as_the_same_reference(
        host in "((docker\\.io|localhost|[a-zA-Z]{1,5}\\.io(:[0-9]{1,5})?|\\[[0-9a-f]{0,4}:[0-9a-f:]{0,6}\\]|[a-z]_[a-z]\\.io)/)?",
        path in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,3})?(/[a-z0-9]{1,5}){0,3}",
        tag in "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20})?",
        digest in "(@sha256:[0-9a-f]{64})?",
    ) {
        let parsed: ImageReference = format!("{host}{path}{tag}{digest}").parse().unwrap();
        let canonical = parsed.to_string();
        let again: ImageReference = canonical.parse().unwrap();
        prop_assert_eq!(&again, &parsed);
        prop_assert_eq!(again.to_string(), canonical);
        prop_assert_eq!(again.matching_name(), parsed.matching_name());
    }

    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_is_stable(written in "[a-zA-Z0-9./:@_\\[\\]-]{0,40}|.{0,20}") {
        if let Ok(parsed) = written.parse::<ImageReference>() {
            prop_assert_eq!(parsed.to_string().parse::<ImageReference>().unwrap(), parsed);
        }
    }
}
