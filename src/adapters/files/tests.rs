use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn load_one(path: &Path) -> Result<Documents, LoadError> {
    load(&[path.to_owned()])
}

fn load_text(text: &str) -> Result<Documents, LoadError> {
    load_one(folder(&[("a.yaml", text)]).path())
}

/// The problems of a text, without the folder's name.
fn problems_of(text: &str) -> Vec<String> {
    let dir = folder(&[("a.yaml", text)]);
    let error = load_one(dir.path()).unwrap_err().to_string();
    let prefix = format!("{}/", dir.path().display());
    error
        .lines()
        .map(|line| line.replace(&prefix, ""))
        .collect()
}

fn policy(name: &str) -> String {
    format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: {name}}}\nspec:\n  images:\n  - glob: '**'\n"
    )
}

fn names(documents: &Documents) -> Vec<&str> {
    let names = documents
        .policies
        .iter()
        .map(|policy| &policy.value.metadata.name);
    names.map(|name| name.as_deref().unwrap()).collect()
}

#[test]
fn loads_any_mix_of_kinds_and_remembers_where_they_stood() {
    let text = format!(
        "# comment\n---\n{}---\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{a: YQ==}}\nstringData: {{a: b, c: d}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: ns}}\n---\n\
         apiVersion: v1\nkind: Namespace\nmetadata: {{name: ns}}\n---\n\
         apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {{name: t}}\n",
        policy("p")
    );
    let documents = load_text(&text).unwrap();
    assert_eq!(names(&documents), ["p"]);
    let origin = &documents.policies[0].origin;
    assert_eq!((origin.document, origin.line), (1, 3));
    assert_eq!(documents.secrets[0].origin.document, 2);
    let data = documents.secrets[0].value.data.clone().unwrap();
    let data: Vec<_> = data
        .into_iter()
        .map(|(key, bytes)| (key, bytes.0))
        .collect();
    assert_eq!(
        data,
        [
            ("a".to_owned(), b"b".to_vec()),
            ("c".to_owned(), b"d".to_vec())
        ]
    );
    assert_eq!(documents.config_maps.len(), 1);
    assert_eq!(documents.namespaces.len(), 1);
    assert_eq!(documents.trust_roots.len(), 1);
}

#[test]
fn loads_json_with_everything_that_json_may_contain() {
    let long = "x".repeat(5_000);
    let text = format!(
        "{{\t\"apiVersion\": \"policy.sigstore.dev\\/v1alpha1\",\r\n\t\"kind\": \"ClusterImagePolicy\",\n\
         \t\"metadata\": {{\"name\": \"p\", \"annotations\": {{\"a\": \"\\ud83d\\ude00 \\u00e9 {long}\"}}}},\n\t\"spec\": null}}"
    );
    let dir = folder(&[("a.json", &text)]);
    let documents = load_one(dir.path()).unwrap();
    let annotations = documents.policies[0]
        .value
        .metadata
        .annotations
        .clone()
        .unwrap();
    assert!(annotations["a"].starts_with("\u{1f600} \u{e9} xxx"));
}

#[test]
fn loads_the_items_of_lists() {
    let items = format!("- {}", policy("a").replace('\n', "\n  "));
    let text =
        format!("apiVersion: v1\nkind: List\nitems:\n{items}\n- apiVersion: v1\n  kind: List\n");
    let documents = load_text(&text).unwrap();
    assert_eq!(names(&documents), ["a"]);
    assert_eq!(documents.policies[0].origin.line, 4);
}

#[test]
fn reads_folders_recursively_in_order_without_hidden_files_and_test_cases() {
    let broken = "{";
    let dir = folder(&[
        ("b.yml", &policy("b")),
        ("a/z.yaml", &policy("z")),
        ("c.json", "{}"),
        (".hidden.yaml", broken),
        (".git/x.yaml", broken),
        ("vouchsafe-test.yaml", broken),
        ("README.md", broken),
    ]);
    fs::write(dir.path().join("c.json"), "[]").unwrap();
    let error = load_one(dir.path()).unwrap_err();
    assert_eq!(error.problems.len(), 1);
    fs::remove_file(dir.path().join("c.json")).unwrap();
    assert_eq!(names(&load_one(dir.path()).unwrap()), ["z", "b"]);
}

#[test]
fn reads_each_real_file_once_and_survives_a_loop_of_symlinks() {
    let dir = folder(&[("a.yaml", &policy("a")), ("sub/b.yaml", &policy("b"))]);
    symlink(dir.path().join("a.yaml"), dir.path().join("again.yaml")).unwrap();
    symlink(dir.path(), dir.path().join("sub/loop")).unwrap();
    let documents = load(&[dir.path().join("a.yaml"), dir.path().to_owned()]).unwrap();
    assert_eq!(names(&documents), ["a", "b"]);
}

#[test]
fn names_both_places_of_two_policies_of_one_name() {
    let dir = folder(&[("a.yaml", &policy("same")), ("b.yaml", &policy("same"))]);
    let error = load_one(dir.path()).unwrap_err();
    let [problem] = &error.problems[..] else {
        panic!("{error}")
    };
    assert_eq!(problem.file, dir.path().join("b.yaml"));
    assert!(
        matches!(&problem.cause, Cause::Duplicate { first, .. } if first.file == dir.path().join("a.yaml"))
    );
}

#[test]
fn reports_every_problem_of_every_file_with_its_place() {
    let text = "apiVersion: policy.sigstore.dev/v1alpha1\nkind: ClusterImagePolicy\nmetadata:\n  name: p\nspec:\n  images:\n  - glob: a\n    regex: b\n---\n\
                apiVersion: apps/v1\nkind: Deployment\n---\nkind: Secret\napiVersion: v1\n---\n- a\n---\n\
                apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  password: hunter2\n";
    assert_eq!(
        problems_of(text),
        [
            "a.yaml:8:5: document 1: ClusterImagePolicy \"p\": json: unknown field \"regex\" at spec.images[0].regex",
            "a.yaml:10:1: document 2: kind \"Deployment\" of \"apps/v1\" is none of ClusterImagePolicy, TrustRoot, Secret, ConfigMap, Namespace; keep it elsewhere (data of cases: in a file that ends in .statement or .input)",
            "a.yaml:13:1: document 3: Secret has no usable metadata.name (found \"\"); names are lower-case letters, digits, '-' and '.'",
            "a.yaml:16:1: document 4: is not a Kubernetes object; each document needs apiVersion, kind and metadata",
            "a.yaml:22:3: document 5: Secret \"s\": json: cannot read data.password: not what a Secret holds there (data is base64, stringData is text)",
        ]
    );
}

#[test]
fn types_scalars_as_the_api_server_would_receive_them() {
    let text = format!("{}  mode: no\n", policy("p"));
    assert_eq!(
        problems_of(&text),
        [
            "a.yaml:7:3: document 1: ClusterImagePolicy \"p\": json: cannot read spec.mode: invalid type: boolean `false`, expected a string"
        ]
    );
}

#[test]
fn says_where_a_text_is_not_yaml() {
    assert_eq!(
        problems_of("a: b\n c: d\n"),
        ["a.yaml:2:3: not valid YAML: mapping values are not allowed in this context"]
    );
}

#[test]
fn refuses_duplicate_keys() {
    for (twice, line) in [
        ("  images: []\n", 7),
        ("  \"mode\": a\n  mode: b\n", 8),
        ("  1: a\n  \"1\": b\n", 8),
    ] {
        let error = load_text(&format!("{}{twice}", policy("p"))).unwrap_err();
        let problem = &error.problems[0];
        assert!(
            matches!(&problem.cause, Cause::Syntax { found } if found.contains("duplicate")),
            "{error}"
        );
        assert!(error.to_string().contains(&line.to_string()), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn refuses_alias_bombs_and_bottomless_nesting() {
    let mut bomb = vec!["a: &a [x,x,x,x,x,x,x,x,x]".to_owned()];
    for (name, before) in ["b", "c", "d", "e", "f", "g", "h", "i"]
        .iter()
        .zip("abcdefgh".chars())
    {
        let aliases = vec![format!("*{before}"); 9].join(",");
        bomb.push(format!("{name}: &{name} [{aliases}]"));
    }
    let scalar = format!(
        "a: &a \"\\t{}\"\nb: [{}]\n",
        "x".repeat(1_000_000),
        vec!["*a"; 900].join(",")
    );
    let flow = "[".repeat(10_000);
    let block: String = (0..10_000).map(|_| "- ").collect();
    for text in [bomb.join("\n"), scalar, flow, block] {
        let started = std::time::Instant::now();
        let error = load_text(&text).unwrap_err();
        assert!(
            matches!(error.problems[0].cause, Cause::Syntax { .. }),
            "{error}"
        );
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn aliases_within_bounds_are_expanded() {
    let text = policy("p").replace("- glob: '**'", "- &a {glob: '**'}\n  - *a");
    assert_eq!(
        load_text(&text).unwrap().policies[0]
            .value
            .spec
            .images
            .len(),
        2
    );
}

#[test]
fn refuses_what_is_missing_too_large_not_text_or_no_file() {
    let dir = folder(&[("a.yaml", "")]);
    let file = dir.path().join("a.yaml");
    let cause = |path: &Path| load_one(path).unwrap_err().problems[0].cause.clone();

    assert!(matches!(
        cause(&dir.path().join("none")),
        Cause::Unreadable { .. }
    ));
    fs::write(&file, " ".repeat(4 * 1024 * 1024 + 1)).unwrap();
    assert_eq!(
        cause(&file),
        Cause::TooLarge {
            limit: MAX_FILE_BYTES
        }
    );
    fs::write(&file, b"ab\xff").unwrap();
    assert_eq!(cause(dir.path()), Cause::NotText { offset: 2 });
    assert_eq!(cause(Path::new("/dev/null")), Cause::NotAFile);
    fs::remove_file(&file).unwrap();
    symlink("gone", &file).unwrap();
    assert!(matches!(cause(dir.path()), Cause::Unreadable { .. }));
}

#[test]
fn refuses_more_files_than_the_bound() {
    let dir = TempDir::new().unwrap();
    for index in 0..=MAX_FILES {
        fs::write(dir.path().join(format!("{index}.yaml")), "").unwrap();
    }
    let error = load_one(dir.path()).unwrap_err();
    assert_eq!(error.problems.len(), 1);
    assert!(matches!(
        error.problems[0].cause,
        Cause::TooMany {
            limit: MAX_FILES,
            ..
        }
    ));
}

#[test]
fn debug_output_shows_no_secret() {
    let documents =
        load_text("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hunter2}\n");
    assert_eq!(
        format!("{:?}", documents.unwrap()),
        "Documents { policies: 0, trust_roots: 0, secrets: 1, config_maps: 0, namespaces: 0, .. }"
    );
}

// === watch ===

/// A kubelet mount: `NAME -> ..data/NAME`, `..data -> ..GENERATION`.
fn swap(mount: &Path, generation: &str, text: &str) {
    let folder = mount.join(generation);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("p.yaml"), text).unwrap();
    symlink(generation, mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
}

async fn next(
    changes: &mpsc::Receiver<Result<Documents, LoadError>>,
) -> Result<Documents, LoadError> {
    for _ in 0..500 {
        if let Ok(change) = changes.try_recv() {
            return change;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no change was reported");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_a_swapped_kubelet_mount_once_and_nothing_when_bytes_stay() {
    let mount = TempDir::new().unwrap();
    swap(mount.path(), "..1", &policy("one"));
    symlink("..data/p.yaml", mount.path().join("p.yaml")).unwrap();
    let paths = vec![mount.path().to_owned()];
    let first = load(&paths).unwrap();
    assert_eq!(names(&first), ["one"]);

    let (send, changes) = mpsc::channel();
    let cancel = CancellationToken::new();
    let on_change = move |change| {
        send.send(change).unwrap();
        std::future::ready(())
    };
    let interval = Duration::from_millis(5);
    let task = tokio::spawn(watch(
        paths,
        Some(first.fingerprint),
        interval,
        cancel.clone(),
        on_change,
    ));

    swap(mount.path(), "..2", &policy("one"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(changes.try_recv().is_err(), "the bytes did not change");

    swap(mount.path(), "..3", &policy("two"));
    assert_eq!(names(&next(&changes).await.unwrap()), ["two"]);

    swap(mount.path(), "..4", "not: [closed");
    assert!(next(&changes).await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(changes.try_recv().is_err(), "an error is reported once");

    swap(mount.path(), "..5", &policy("two"));
    assert_eq!(names(&next(&changes).await.unwrap()), ["two"]);

    cancel.cancel();
    task.await.unwrap();
}
