//! 0 admit, 1 deny, 2 usage or a policy that does not compile, 3 nothing denied and something that could not be judged.

use rstest::rstest;

use crate::desk::{Desk, release, stranger};
use crate::support::command::{Ended, verify, vouchsafe};
use crate::support::policy_text::{attested, signed_by, warns_unless_signed_by};
use crate::support::registry::{Fault, Match};

/// An error is on standard error, and standard output stays free for results.
fn assert_usage(ended: &Ended, phrase: &str) {
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(
        ended.stderr.contains(phrase),
        "{phrase:?} is not in {}",
        ended.stderr
    );
}

/// Could not be judged, and never said to be unsigned.
fn assert_unknown(ended: &Ended) {
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("could not judge"), "{}", ended.stdout);
    assert!(
        !ended.stdout.contains("no signatures found"),
        "{}",
        ended.stdout
    );
}

#[rstest]
#[case::signed(&["signed"], 0)]
#[case::unsigned(&["unsigned"], 1)]
#[case::stranger(&["stranger"], 1)]
#[case::one_denied_among_admitted(&["signed", "unsigned", "annotated"], 1)]
#[case::all_admitted(&["signed", "annotated", "wrong-builder"], 0)]
#[tokio::test(flavor = "multi_thread")]
async fn one_denied_image_is_enough(#[case] cases: &[&str], #[case] code: i32) {
    let desk = Desk::new().await;
    let images: Vec<String> = cases.iter().map(|case| desk.image(case)).collect();
    let ended = verify(desk.signed_by_release(), &images).end();
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_admits_unless_fail_on_warn_is_given() {
    let desk = Desk::new().await;
    let policy = desk.file("warn.yaml", warns_unless_signed_by("soft", &stranger()));
    let image = desk.image("signed");
    let ended = verify(&policy, ["-o", "json", &image]).end();
    assert_eq!(
        (ended.code, ended.json()["verdict"].as_str()),
        (0, Some("warn"))
    );
    assert_eq!(verify(&policy, ["--fail-on", "warn", &image]).end().code, 1);
    assert_eq!(verify(&policy, ["--fail-on", "deny", &image]).end().code, 0);
    // Without a warning there is nothing to fail on; that a tag may move is no failure.
    assert_eq!(
        verify(
            desk.signed_by_release(),
            ["--fail-on", "warn", &desk.image("signed")]
        )
        .end()
        .code,
        0
    );
}

#[rstest]
#[case::by_default(&[], 1, "no-match")]
#[case::deny(&["--no-match-policy", "deny"], 1, "no-match")]
#[case::warn(&["--no-match-policy", "warn"], 0, "no-match")]
#[case::allow(&["--no-match-policy", "allow"], 0, "no-match")]
#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_a_policy_is_answered_as_asked(
    #[case] flags: &[&str],
    #[case] code: i32,
    #[case] reason: &str,
) {
    let desk = Desk::new().await;
    let elsewhere = signed_by("elsewhere", &release()).replace("\"**\"", "registry.example.com/**");
    let policy = desk.file("elsewhere.yaml", elsewhere);
    let image = desk.image("signed");
    let ended = verify(policy, flags.iter().copied().chain(["-o", "json", &image])).end();
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.json()["images"][0]["reason"], reason);
}

// === could not be judged ===

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_stopped_is_no_missing_signature() {
    let desk = Desk::new().await;
    let (policy, by_tag, by_digest) = (
        desk.signed_by_release(),
        desk.image("signed"),
        desk.pinned("signed"),
    );
    assert_eq!(verify(&policy, [&by_tag, &by_digest]).end().code, 0);
    let (registry, _folder) = desk.apart();
    registry.stop().await;
    for image in [by_tag, by_digest] {
        let ended = verify(&policy, [&image]).end();
        assert_unknown(&ended);
        assert!(
            ended.stdout.contains("registry-unreachable"),
            "{}",
            ended.stdout
        );
    }
}

#[rstest]
#[case::broken(Match::any(), Fault::status(500), "registry-unreachable")]
#[case::only_the_signature_is_broken(Match::manifest().path(".sig"), Fault::status(503), "registry-unreachable")]
#[case::only_the_payload_is_broken(Match::blob(), Fault::status(500), "registry-unreachable")]
#[case::refused(Match::manifest().path(".sig"), Fault::status(403), "registry-auth")]
#[case::throttled(Match::manifest().path(".sig"), Fault::status(429), "registry-throttled")]
#[case::silent(Match::manifest().path(".sig"), Fault::Hang, "deadline")]
#[case::cut_off(Match::manifest().path(".sig"), Fault::Truncate { n: 10 }, "registry-unreachable")]
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_in_trouble_is_no_missing_signature(
    #[case] matching: Match,
    #[case] fault: Fault,
    #[case] reason: &str,
) {
    let desk = Desk::new().await;
    desk.registry.on(matching, fault);
    let ended = desk.verify(&["--timeout", "3", &desk.pinned("signed")]);
    assert_unknown(&ended);
    assert!(
        ended.stdout.contains(reason),
        "{reason} is not in {}",
        ended.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_graver_than_what_could_not_be_judged() {
    let desk = Desk::new().await;
    desk.registry
        .on(Match::any().path("t/signed"), Fault::status(500));
    let (unjudged, denied, admitted) = (
        desk.pinned("signed"),
        desk.pinned("unsigned"),
        desk.pinned("annotated"),
    );
    assert_eq!(desk.verify(&["--timeout", "3", &unjudged, &denied]).code, 1);
    assert_eq!(
        desk.verify(&["--timeout", "3", &unjudged, &admitted]).code,
        3
    );
}

// === usage ===

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_does_not_compile_is_told_before_any_request() {
    let desk = Desk::new().await;
    let image = desk.image("signed");
    let broken = attested(
        "broken",
        &release(),
        "package sigstore\nisCompliant[answer {\n",
    );
    for (text, phrase) in [
        (broken, "spec.authorities[0].attestations[0].policy.data"),
        (
            signed_by("broken", "not a key\n"),
            "spec.authorities[0].key",
        ),
        (
            signed_by("broken", &release()).replace("\"**\"", "\"[a\""),
            "spec.images[0].glob",
        ),
    ] {
        let good = signed_by("good", &release());
        let policy = desk.file("broken.yaml", format!("{good}{text}"));
        let ended = verify(policy, [&image]).end();
        assert_usage(&ended, "policy broken cannot be used");
        assert_usage(&ended, phrase);
    }
    assert!(desk.registry.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_before_any_request() {
    let desk = Desk::new().await;
    let (policy, image) = (desk.signed_by_release(), desk.image("signed"));
    let gone = desk.folder().join("gone.yaml");
    let gone = gone.to_str().unwrap();
    assert_usage(&verify(gone, [&image]).end(), "gone.yaml: cannot be read");
    assert_usage(
        &verify(&policy, ["-f", gone]).end(),
        "cannot read the manifest",
    );
    assert_usage(
        &verify(&policy, ["--registry-ca", gone, &image]).end(),
        "--registry-ca",
    );
    assert_usage(
        &verify(&policy, ["--insecure-registry", "a b", &image]).end(),
        "--insecure-registry",
    );
    let syntax = desk.file("syntax.yaml", "a: [\n");
    assert_usage(
        &verify(&syntax, [&image]).end(),
        "syntax.yaml:1:4: not valid YAML",
    );
    let misspelt = desk.file(
        "misspelt.yaml",
        signed_by("p", &release()).replace("authorities:", "authoritys:"),
    );
    assert_usage(&verify(&misspelt, [&image]).end(), "authoritys");
    assert!(desk.registry.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_policies_of_one_name_are_an_error_that_names_both_files() {
    let desk = Desk::new().await;
    let folder = desk.folder().to_owned();
    desk.file("a.yaml", signed_by("same", &release()));
    desk.file("b.yaml", signed_by("same", &stranger()));
    let ended = verify(&folder, [desk.image("signed")]).end();
    assert_usage(&ended, "\"same\" is already defined");
    assert!(
        ended.stderr.contains("a.yaml") && ended.stderr.contains("b.yaml"),
        "{}",
        ended.stderr
    );
    assert!(desk.registry.requests().is_empty());
}

#[rstest]
#[case::no_command(&[], "Usage:")]
#[case::unknown_command(&["judge"], "unrecognized subcommand")]
#[case::no_policies(&["verify", "image"], "--policies")]
#[case::nothing_to_judge(&["verify", "--policies", "p"], "<IMAGE>")]
#[case::unknown_output(&["verify", "--policies", "p", "-o", "xml", "image"], "possible values: text, json")]
#[case::too_much_time(&["verify", "--policies", "p", "--timeout", "601", "image"], "601")]
#[case::inputs_as_json(&["verify", "--policies", "p", "--show-input", "a", "-o", "json", "image"], "cannot be used with")]
#[case::key_without_certificate(&["serve", "--policies", "p", "--tls-key", "k"], "--tls-cert")]
#[case::unknown_shell(&["completion", "nosuch"], "possible values: bash")]
fn a_command_line_that_makes_no_sense_is_answered_with_how_to_mend_it(
    #[case] arguments: &[&str],
    #[case] phrase: &str,
) {
    assert_usage(&vouchsafe(arguments).end(), phrase);
}

// === environment ===

#[tokio::test(flavor = "multi_thread")]
async fn settings_may_come_from_the_environment_and_flags_win() {
    let desk = Desk::new().await;
    let image = desk.image("signed");
    let ours = desk.signed_by_release();
    let theirs = desk.file("theirs.yaml", signed_by("theirs", &stranger()));
    let run =
        |rest: &[&str]| vouchsafe(["verify"].iter().chain(rest)).env("VOUCHSAFE_POLICIES", &ours);
    assert_eq!(run(&[&image]).end().code, 0);
    assert_eq!(
        run(&["--policies", theirs.to_str().unwrap(), &image])
            .end()
            .code,
        1
    );
    let both = format!("{},{}", ours.display(), theirs.display());
    let ended = run(&["-o", "json", &image])
        .env("VOUCHSAFE_POLICIES", both)
        .end();
    assert_eq!(
        ended.json()["images"][0]["policies"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let elsewhere = desk.file(
        "elsewhere.yaml",
        signed_by("elsewhere", &release()).replace("\"**\"", "registry.example.com/**"),
    );
    let unmatched = |rest: &[&str]| {
        verify(&elsewhere, rest)
            .env("VOUCHSAFE_NO_MATCH_POLICY", "allow")
            .end()
            .code
    };
    assert_eq!(unmatched(&[&image]), 0);
    assert_eq!(unmatched(&["--no-match-policy", "deny", &image]), 1);

    assert_usage(
        &run(&[&image])
            .env("VOUCHSAFE_REGISTRY_CA", "/nowhere/ca.pem")
            .end(),
        "--registry-ca",
    );
    assert_usage(
        &run(&[&image])
            .env("VOUCHSAFE_INSECURE_REGISTRY", "a b")
            .end(),
        "--insecure-registry",
    );
    assert_usage(
        &run(&[&image]).env("VOUCHSAFE_TIMEOUT", "soon").end(),
        "--timeout",
    );
}

/// A pipeline that wants digests in manifests gets its answer from `-f`; what `/mutate` would pin is judged as if it had.
#[tokio::test(flavor = "multi_thread")]
async fn tags_in_manifests_are_judged_as_the_webhook_would() {
    let desk = Desk::new().await;
    let pod = |image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{name: a, image: {image:?}}}]}}\n"
        )
    };
    let tagged = desk.file("tagged.yaml", pod(&desk.image("signed")));
    let pinned = desk.file("pinned.yaml", pod(&desk.pinned("signed")));
    let judged = |tags: &str, file: &std::path::Path| {
        let file = file.to_str().unwrap();
        desk.verify(&["--tags", tags, "-o", "json", "-f", file])
    };
    for tags in ["resolve", "pin", "pin-all"] {
        let ended = judged(tags, &tagged);
        assert_eq!(ended.code, 0, "{ended:?}");
        let warned = ended.json()["warnings"].as_array().unwrap().len();
        assert_eq!(warned, usize::from(tags == "resolve"), "{tags}");
    }
    let ended = judged("require", &tagged);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(ended.json()["images"][0]["reason"], "tag-not-pinned");
    assert_eq!(judged("require", &pinned).code, 0);
    // An image that is named on the command line is asked about as it is.
    let named = desk.verify(&["--tags", "require", &desk.image("signed")]);
    assert_eq!(named.code, 0, "{named:?}");
}

/// The file of kinds is read before anything is judged, and says what is wrong with it, and where.
#[tokio::test(flavor = "multi_thread")]
async fn custom_resources_are_judged_where_their_images_are_configured() {
    let desk = Desk::new().await;
    let image = desk.image("unsigned");
    let task = desk.file(
        "task.yaml",
        format!("apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {{name: a}}\nspec: {{steps: [{{name: a, image: {image:?}}}]}}\n"),
    );
    let task = task.to_str().unwrap();
    let ended = desk.verify(&["-f", task]);
    assert!(
        ended
            .stderr
            .contains("not judged, since their kinds are not covered: Task/a"),
        "{ended:?}"
    );
    let kinds = |name: &str, text: &str| desk.file(name, text).to_str().unwrap().to_owned();
    let good = kinds(
        "good.yaml",
        "kinds:\n- {group: tekton.dev, kind: Task, resource: tasks, images: [/spec/steps/*/image]}\n",
    );
    let ended = desk.verify(&["-f", task, "--kinds", &good]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("unsigned"), "{ended:?}");
    for (text, phrase) in [
        (
            "kinds:\n- {group: tekton.dev, kind: Task, resource: tasks, images: [spec.image]}\n",
            "kinds[0].images[0]: \"spec.image\" is no pointer: it must begin with \"/\"",
        ),
        (
            "kinds:\n- {group: tekton.dev, kind: Task, resource: tasks, image: [/spec/image]}\n",
            "unknown field",
        ),
        ("", "docs/kinds.md"),
    ] {
        let bad = kinds("bad.yaml", text);
        assert_usage(&desk.verify(&["-f", task, "--kinds", &bad]), phrase);
    }
    assert_usage(
        &desk.verify(&["-f", task, "--kinds", "/nowhere"]),
        "cannot read the kinds of --kinds /nowhere",
    );
}
