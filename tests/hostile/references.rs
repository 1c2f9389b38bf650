//! Image references that are none, that look like others, or that a policy's glob must not be talked into.

use rstest::rstest;

use crate::stage::Stage;
use crate::support::policies::{Policy, yaml};
use crate::support::webhook::Webhook;

/// A digest that stands in references. Whether such an image exists is never asked.
const DIGEST: &str = "sha256:4afdc0eb5a1c9d8e7f60718293a4b5c6d7e8f90123456789abcdef0123456789";

/// Admits what the glob matches, without asking anybody; everything else is denied as unmatched.
async fn admits(glob: &str) -> Webhook {
    Webhook::start(&yaml(&[Policy::new("pass").glob(glob).fixed("pass")])).await
}

/// T-61: what the container runtime cannot pull is denied for what it is, also under a policy that would let everything pass.
#[rstest]
#[case::nothing("")]
#[case::a_space(" ")]
#[case::a_leading_space(" nginx")]
#[case::a_trailing_space("nginx ")]
#[case::a_line_break("nginx\n")]
#[case::a_nul("nginx\0")]
#[case::a_homoglyph("ngіnx")]
#[case::a_full_width_colon("nginx：latest")]
#[case::a_right_to_left_mark("nginx\u{202e}:latest")]
#[case::upper_case("Nginx")]
#[case::upper_case_in_the_path("registry.example/Shop/app")]
#[case::an_empty_component("registry.example//app")]
#[case::a_leading_slash("/app")]
#[case::a_trailing_slash("registry.example/app/")]
#[case::dots_in_the_path("registry.example/../app")]
#[case::a_trailing_dot_behind_the_host("registry.example./app")]
#[case::three_underscores("registry.example/a___b")]
#[case::a_port_that_is_none("registry.example:port/app")]
#[case::an_empty_tag("nginx:")]
#[case::a_tag_with_a_slash("nginx:a/b")]
#[case::two_tags("nginx:a:b")]
#[case::a_tag_beyond_128_bytes(&format!("nginx:{}", "a".repeat(129)))]
#[case::an_empty_digest("nginx@")]
#[case::a_short_digest("nginx@sha256:4afdc0eb")]
#[case::an_upper_case_digest(&format!("nginx@{}", DIGEST.to_uppercase()))]
#[case::upper_case_hex(&format!("nginx@sha256:{}", DIGEST[7..].to_uppercase()))]
#[case::an_unknown_algorithm(&format!("nginx@{}", DIGEST.replace("sha256", "sha257")))]
#[case::an_algorithm_that_nobody_pulls_by(&format!("nginx@sha512:{}", "0".repeat(128)))]
#[case::two_digests(&format!("nginx@{DIGEST}@{DIGEST}"))]
#[case::a_digest_before_the_tag(&format!("nginx@{DIGEST}:latest"))]
#[case::an_image_identifier(&DIGEST[7..])]
#[case::a_url("https://registry.example/app")]
#[case::a_user("robot:secret@registry.example/app")]
#[case::a_query("registry.example/app?x=y")]
#[case::an_encoded_slash("registry.example/a%2fb")]
#[case::a_name_beyond_all_bounds(&"a".repeat(4096))]
#[case::a_path_beyond_255_bytes(&format!("registry.example/{}", "a".repeat(256)))]
#[tokio::test]
async fn a_reference_that_nobody_can_pull_is_denied(#[case] reference: &str) {
    for policies in [
        yaml(&[Policy::new("pass").fixed("pass")]),
        yaml(&[Policy::new("warn").mode("warn").fixed("pass")]),
    ] {
        let webhook = Webhook::start_with(&policies, |settings| {
            settings.judge.no_match_policy = vouchsafe::config::NoMatch::Allow;
        })
        .await;
        let answered = webhook.judge(reference).await;
        answered.denied("invalid-reference");
        assert!(
            answered
                .message
                .chars()
                .all(|c| c == '\n' || !c.is_control()),
            "{:?}",
            answered.message
        );
        assert!(answered.message.len() <= 8 << 10);
    }
}

/// T-61: what the runtime can pull is judged, however odd it looks.
#[rstest]
#[case::one_component("nginx")]
#[case::two_underscores("registry.example/a__b")]
#[case::dashes("registry.example/a---b")]
#[case::an_address_of_ipv6("[::1]:5000/app")]
#[case::an_upper_case_host("REGISTRY.example/app")]
#[case::many_components("registry.example/a/b/c/d/e/f")]
#[case::localhost("localhost/app")]
#[tokio::test]
async fn an_odd_reference_is_judged(#[case] name: &str) {
    let webhook = admits("**").await;
    for reference in [format!("{name}@{DIGEST}"), format!("{name}:1.0@{DIGEST}")] {
        webhook.judge(&reference).await.admitted("static-pass");
    }
}

/// T-21: host and path are told apart, and both are anchored.
#[rstest]
#[case::the_host_as_a_path("trusted.example/**", "attacker.example/trusted.example/app")]
#[case::a_host_that_ends_with_it("trusted.example/**", "untrusted.example/app")]
#[case::a_host_that_begins_with_it("trusted.example/**", "trusted.example.attacker.test/app")]
#[case::another_port("trusted.example/**", "trusted.example:5000/app")]
#[case::a_dot_is_a_dot("trusted.example/**", "trustedxexample.test/app")]
#[case::a_subdomain_as_a_path("*.trusted.example/*", "attacker.example/x.trusted.example/app")]
#[case::a_subdomain_of_a_subdomain_as_a_path(
    "*.trusted.example/app",
    "attacker.example/a.trusted.example/app"
)]
#[case::no_subdomain("*.trusted.example/*", "trusted.example/app")]
#[case::one_level_is_one_level("trusted.example/*", "trusted.example/shop/app")]
#[case::a_longer_name("trusted.example/shop/app", "trusted.example/shop/app-evil")]
#[case::a_shorter_name("trusted.example/shop/app", "trusted.example/shop/ap")]
#[case::another_host_of_the_hub("docker.io/library/*", "docker.io.evil.example/library/nginx")]
#[case::the_hub_as_a_path(
    "index.docker.io/library/*",
    "evil.example/index.docker.io/library/nginx"
)]
#[case::a_user_of_the_hub("index.docker.io/library/*", "evil/nginx")]
#[case::gcr_with_any_letter("gcr.io/shop/*", "gcrxio.test/shop/app")]
#[tokio::test]
async fn a_look_alike_is_not_matched(#[case] glob: &str, #[case] name: &str) {
    let webhook = admits(glob).await;
    for reference in [format!("{name}@{DIGEST}"), format!("{name}:1.0@{DIGEST}")] {
        webhook.judge(&reference).await.denied("no-match");
    }
}

/// T-55: every spelling of an image on Docker Hub is the same image, so a policy that forbids it cannot be dodged by spelling.
#[rstest]
#[case("nginx")]
#[case("library/nginx")]
#[case("docker.io/nginx")]
#[case("docker.io/library/nginx")]
#[case("index.docker.io/nginx")]
#[case("index.docker.io/library/nginx")]
#[tokio::test]
async fn every_spelling_of_a_hub_image_meets_the_same_policy(#[case] name: &str) {
    let policies = yaml(&[
        Policy::new("all").fixed("pass"),
        Policy::new("no-nginx")
            .glob("index.docker.io/library/nginx*")
            .fixed("fail"),
    ]);
    let webhook = Webhook::start(&policies).await;
    for reference in [format!("{name}@{DIGEST}"), format!("{name}:1.0@{DIGEST}")] {
        webhook.judge(&reference).await.denied("static-deny");
    }
    webhook
        .judge(&format!("nginx.example/library/nginx@{DIGEST}"))
        .await
        .admitted("static-pass");
}

/// T-60: a tag that a `static: pass` policy names does not admit a digest that the tag does not have.
#[tokio::test]
async fn a_claimed_tag_admits_nothing_that_it_does_not_name() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let host = stage.registry.host();
    let pass = Policy::new("pass")
        .glob(&format!("{host}/t/app:v1"))
        .fixed("pass");
    let webhook = Webhook::start(&yaml(&[pass])).await;
    webhook
        .judge(&format!("{}@{DIGEST}", image.tagged()))
        .await
        .denied("no-match");
    webhook
        .judge(&format!("{}@{}", image.tagged(), image.digest))
        .await
        .admitted("static-pass");
    stage.registry.on(
        crate::support::registry::Match::any(),
        crate::support::registry::Fault::status(503),
    );
    webhook
        .judge(&format!("{}@{}", image.tagged(), image.digest))
        .await
        .denied("registry-unreachable");
}
