use proptest::prelude::*;
use rstest::rstest;

use super::*;

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[rstest]
#[case::no_separator("sha256")]
#[case::empty("")]
#[case::unknown_algorithm("md5:0123456789abcdef0123456789abcdef")]
#[case::upper_case_algorithm(
    "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)]
#[case::upper_case_hex("sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855")]
#[case::short("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85")]
#[case::long("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555")]
#[case::sha256_bytes_called_sha512(
    "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)]
#[case::right_length_other_letters(
    "sha256:z3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)]
#[case::multibyte_of_the_right_length(
    "sha256:é3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"
)]
#[case::path("sha256:../../../../../../../../../../../../../../../../../../../../etc/pass")]
fn t54_refuses_a_malformed_digest(#[case] text: &str) {
    assert!(text.parse::<Digest>().is_err(), "{text}");
    assert!(
        serde_json::from_value::<Digest>(text.into()).is_err(),
        "{text}"
    );
}

#[test]
fn t54_error_about_a_huge_digest_stays_short() {
    let error = format!("sha256:{}", "a".repeat(1 << 20))
        .parse::<Digest>()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "sha256 digest has 1048576 hex characters, expected 64"
    );
    let error = "a".repeat(1 << 20).parse::<Digest>().unwrap_err();
    assert!(error.to_string().len() < 100);
}

#[rstest]
#[case(Algorithm::Sha256)]
#[case(Algorithm::Sha384)]
#[case(Algorithm::Sha512)]
fn reads_back_what_it_writes(#[case] algorithm: Algorithm) {
    let digest = Digest::of(algorithm, b"bytes");
    assert_eq!(digest.hex().len(), algorithm.hex_len());
    assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    assert_eq!(
        serde_json::to_string(&digest).unwrap(),
        format!("\"{digest}\"")
    );
    assert_eq!(
        serde_json::from_str::<Digest>(&format!("\"{digest}\"")).unwrap(),
        digest
    );
    assert_eq!(format!("{digest:?}"), digest.to_string());
}

#[test]
fn is_the_digest_of_exactly_those_bytes() {
    let digest: Digest = EMPTY.parse().unwrap();
    assert!(digest.is_digest_of(b""));
    assert!(!digest.is_digest_of(b"\n"));
    assert_eq!(digest, Digest::sha256_of(b""));
    assert_ne!(digest, Digest::of(Algorithm::Sha512, b""));
}

#[test]
fn short_form_keeps_both_ends() {
    assert_eq!(Digest::sha256_of(b"").short(), "sha256:e3b0c442…852b855");
}

#[rstest]
#[case(
    "",
    "sig",
    "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.sig"
)]
#[case(
    "",
    ".att",
    "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.att"
)]
#[case(
    "demo",
    "sig",
    "demosha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.sig"
)]
#[case(
    "",
    "",
    "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)]
fn names_the_tags_that_cosign_uses(#[case] prefix: &str, #[case] suffix: &str, #[case] tag: &str) {
    assert_eq!(
        Digest::sha256_of(b"")
            .tag_with_suffix(prefix, suffix)
            .unwrap()
            .as_str(),
        tag
    );
}

#[rstest]
#[case("../../other/manifests/")]
#[case(".")]
#[case("a b")]
#[case("a?b=")]
#[case(&"p".repeat(100))]
fn refuses_a_tag_prefix_that_makes_no_tag(#[case] prefix: &str) {
    assert!(
        Digest::sha256_of(b"")
            .tag_with_suffix(prefix, "sig")
            .is_err()
    );
}

proptest! {
    #[test]
    fn what_is_read_is_shown_as_it_was_written(text in "(sha256|sha384|sha512|SHA256|md5)[:@-]([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}|[0-9a-fA-F]{64}|.{0,66})") {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_string(), text);
            prop_assert_eq!(digest.as_bytes().len() * 2, digest.algorithm().hex_len());
        }
    }

    #[test]
    fn every_digest_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..64), which in 0_usize..3) {
        let algorithm = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512][which];
        let digest = Digest::of(algorithm, &bytes);
        prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }
}
