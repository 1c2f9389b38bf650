//! The import table: which folder of `src/` may use which, and what the pure ones may not touch.
//!
//! One package has no crate boundaries, so this test is the boundary. It reads every source file, collects the `crate::folder` paths
//! outside of tests, and fails on an edge that the table does not name. To change the structure, change the table, in a commit that
//! says why.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Folder → what of ours it may use.
const TABLE: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("image", &[]),
    ("api", &[]),
    ("go_regexp", &[]),
    ("statement", &["image", "limits"]),
    ("workload", &[]),
    // `api` for the keys and repositories that a TrustRoot gives as they are written, `limits` for JSON under bounds.
    ("trust", &["api", "limits"]),
    ("evidence", &["image", "limits"]),
    (
        "verify",
        &[
            "image",
            "evidence",
            "statement",
            "trust",
            "limits",
            "go_regexp",
        ],
    ),
    ("predicate_policy", &[]),
    // `workload` for the paths of fields, `evidence` and `statement` for the names of formats and types that a verdict speaks of.
    (
        "verdict",
        &["image", "verify", "workload", "evidence", "statement"],
    ),
    (
        "policy",
        &[
            "api",
            "go_regexp",
            "image",
            "verify",
            "predicate_policy",
            "statement",
            "trust",
            "verdict",
        ],
    ),
    // `trust` for whether the keys of a TrustRoot are keys, `explain` for what a condition may say on a terminal.
    (
        "apply",
        &[
            "api",
            "go_regexp",
            "policy",
            "predicate_policy",
            "trust",
            "explain",
        ],
    ),
    // What differs from policy-controller: the findings of `apply`, and what `policy` takes them from.
    ("migrate", &["api", "apply", "policy"]),
    // What a case expects is said in the words of verdicts.
    ("cases", &["verdict"]),
    // `workload` for the fields that a mutation names.
    (
        "explain",
        &["verdict", "verify", "evidence", "statement", "workload"],
    ),
    // `workload` for the scope of pull secrets, which its trait `Credentials` takes.
    ("gather", &["image", "evidence", "limits", "workload"]),
    (
        "decide",
        &[
            "limits",
            "image",
            "statement",
            "workload",
            "trust",
            "evidence",
            "verify",
            "predicate_policy",
            "verdict",
            "policy",
            "gather",
        ],
    ),
    (
        "adapters",
        // `policy` for what policies refer to: the texts behind URLs that are fetched for them. `trust` for the roots that are.
        &[
            "gather", "api", "image", "verdict", "limits", "workload", "policy", "trust",
        ],
    ),
    ("server", &["workload", "explain", "limits", "verdict"]),
    ("demo", &["image"]),
];

/// Nothing below imports these; they may use anything.
const TOP: &[&str] = &["app", "cli", "config", "telemetry", "main", "lib"];

/// Folders that are values in, values out: no network, no files, no time of day, no environment. (A
/// predicate policy measures how long it runs; that decides no verdict but its budget.)
const PURE: &[&str] = &[
    "limits",
    "image",
    "api",
    "go_regexp",
    "statement",
    "workload",
    "trust",
    "evidence",
    "verify",
    "predicate_policy",
    "verdict",
    "policy",
    "apply",
    "migrate",
    "cases",
    "explain",
];

/// What they may not name.
const FORBIDDEN: &[&str] = &[
    "tokio",
    "reqwest",
    "axum",
    "hyper",
    "kube::Client",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "SystemTime::now",
    "Timestamp::now",
];

/// What `gather` and `decide` may not name: they wait and join, and leave everything else to `adapters`.
const FORBIDDEN_ASYNC: &[&str] = &[
    "tokio::fs",
    "tokio::net",
    "tokio::spawn",
    "reqwest",
    "axum",
    "hyper",
    "kube",
    "std::env",
    "std::fs",
    "std::net",
    "SystemTime::now",
];

/// Every path that a file names outside of its tests.
#[derive(Default)]
struct Paths {
    found: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.found.insert(words.join("::"));
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.walk(&item.tree, String::new());
    }
}

impl Paths {
    fn walk(&mut self, tree: &syn::UseTree, prefix: String) {
        let join = |name: &syn::Ident| {
            if prefix.is_empty() {
                name.to_string()
            } else {
                format!("{prefix}::{name}")
            }
        };
        match tree {
            syn::UseTree::Path(path) => self.walk(&path.tree, join(&path.ident)),
            syn::UseTree::Name(name) => {
                self.found.insert(join(&name.ident));
            }
            syn::UseTree::Rename(rename) => {
                self.found.insert(join(&rename.ident));
            }
            syn::UseTree::Glob(_) => {
                self.found.insert(prefix);
            }
            syn::UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|item| self.walk(item, prefix.clone())),
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|argument| argument.is_ident("test"))
    })
}

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_tests {
            source_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !is_tests {
            found.push(path);
        }
    }
}

/// Top folder of `src/` → the paths that its files name, with the file.
fn paths_by_folder() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    let mut by_folder: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for file in files {
        let relative = file.strip_prefix(&src).expect("below src").to_owned();
        let first = relative
            .components()
            .next()
            .expect("a name")
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let folder = first.trim_end_matches(".rs").to_owned();
        let syntax = syn::parse_file(&fs::read_to_string(&file).expect("readable")).expect("Rust");
        let mut paths = Paths::default();
        paths.visit_file(&syntax);
        by_folder
            .entry(folder)
            .or_default()
            .extend(paths.found.into_iter().map(|path| (relative.clone(), path)));
    }
    by_folder
}

#[test]
fn every_folder_uses_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let folders: BTreeSet<&str> = table.keys().copied().chain(TOP.iter().copied()).collect();
    let mut broken = Vec::new();
    for (folder, paths) in paths_by_folder() {
        if TOP.contains(&folder.as_str()) {
            continue;
        }
        let Some(allowed) = table.get(folder.as_str()) else {
            broken.push(format!("src/{folder} is not in the table"));
            continue;
        };
        for (file, path) in paths {
            let mut words = path.split("::");
            let (Some("crate"), Some(used)) = (words.next(), words.next()) else {
                continue;
            };
            if used != folder && folders.contains(used) && !allowed.contains(&used) {
                broken.push(format!("src/{} uses {path}", file.display()));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "edges that the table does not allow:\n{}",
        broken.join("\n")
    );
}

/// What the table allows and nobody does is as wrong as what it forbids: a reader takes it for the layering.
#[test]
fn the_table_allows_nothing_that_nobody_needs() {
    let mut used: BTreeSet<(String, String)> = BTreeSet::new();
    for (folder, paths) in paths_by_folder() {
        for (_, path) in paths {
            if let Some(rest) = path.strip_prefix("crate::") {
                let first = rest.split("::").next().unwrap_or_default();
                used.insert((folder.clone(), first.to_owned()));
            }
        }
    }
    let edges = TABLE
        .iter()
        .flat_map(|(folder, uses)| uses.iter().map(move |used| (*folder, *used)));
    let idle: Vec<String> = edges
        .filter(|(folder, other)| !used.contains(&((*folder).to_owned(), (*other).to_owned())))
        .map(|(folder, other)| format!("{folder} -> {other}"))
        .collect();
    assert!(idle.is_empty(), "nobody needs: {}", idle.join(", "));
}

#[test]
fn the_table_has_no_cycle() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    while done.len() < table.len() {
        let ready: Vec<&str> = table
            .iter()
            .filter(|(f, uses)| !done.contains(*f) && uses.iter().all(|u| done.contains(u)))
            .map(|(f, _)| *f)
            .collect();
        assert!(
            !ready.is_empty(),
            "a cycle among {:?}",
            table
                .keys()
                .filter(|f| !done.contains(*f))
                .collect::<Vec<_>>()
        );
        done.extend(ready);
    }
}

#[test]
fn pure_folders_touch_neither_network_nor_files_nor_clock() {
    let mut broken = Vec::new();
    for (folder, paths) in paths_by_folder() {
        let forbidden: &[&str] = match folder.as_str() {
            "decide" | "gather" => FORBIDDEN_ASYNC,
            pure if PURE.contains(&pure) => FORBIDDEN,
            _ => continue,
        };
        for (file, path) in paths {
            let names = |word: &&&str| {
                path == **word
                    || path.starts_with(&format!("{word}::"))
                    || path.ends_with(&format!("::{word}"))
            };
            if let Some(word) = forbidden.iter().find(names) {
                broken.push(format!(
                    "src/{} names {path} ({word} is not for {folder})",
                    file.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_file_of_src_has_grown_into_two() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    let lines = |file: &PathBuf| fs::read_to_string(file).expect("readable").lines().count();
    let long: Vec<String> = files
        .iter()
        .map(|f| (f, lines(f)))
        .filter(|(_, n)| *n > 600)
        .map(|(f, n)| format!("{}: {n} lines", f.display()))
        .collect();
    assert!(long.is_empty(), "split these: {}", long.join(", "));
}

/// Comments cite threats by number; a number that nobody can look up explains nothing.
#[test]
fn every_threat_that_is_cited_is_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = fs::read_to_string(root.join("docs/threats.md")).expect("the list of threats");
    let mut files = Vec::new();
    source_files(&root.join("src"), &mut files);
    source_files(&root.join("tests"), &mut files);
    let missing: BTreeSet<String> = files
        .iter()
        .flat_map(|file| threats(&fs::read_to_string(file).expect("readable")))
        .filter(|threat| !told.contains(&format!("| {threat} |")))
        .collect();
    assert!(missing.is_empty(), "not in docs/threats.md: {missing:?}");
}

/// The numbers of the form `T-` and two digits in a text.
fn threats(text: &str) -> Vec<String> {
    let starts = text.match_indices("T-").map(|(at, _)| at);
    let numbers = starts.filter_map(|at| text.get(at + 2..at + 4).map(|digits| (at, digits)));
    numbers
        .filter(|(_, digits)| digits.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|(at, _)| text.get(at..at + 4).map(str::to_owned))
        .collect()
}
