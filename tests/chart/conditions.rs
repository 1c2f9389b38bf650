//! T-85: what `matchConditions` keep away from us, against what the program judges. Nothing that is judged may be kept away; what changes
//! nothing that runs should be, so that it passes while nobody is there.

use std::fmt::Write as _;

use cel::{Context, Program};
use insta::assert_snapshot;
use serde_json::{Value, json};
use vouchsafe::workload::{Change, ConfiguredKinds, Kinds, what_changed};

use crate::rendered::{Rendered, all, rendered};
use crate::requests::{EDITS, KINDS, object};

/// A request that the API server would send, were it not for the conditions.
struct Asked<'a> {
    operation: &'a str,
    group: &'a str,
    kind: &'a str,
    subresource: &'a str,
    new: &'a Value,
    old: &'a Value,
}

/// The conditions of a webhook, all of which must be true.
struct Conditions(Vec<Program>);

impl Conditions {
    fn of(webhook: &Value) -> Self {
        let conditions = webhook["matchConditions"].as_array().unwrap().iter();
        let compiled = conditions.map(|condition| {
            let text = condition["expression"].as_str().unwrap();
            Program::compile(text).unwrap_or_else(|errors| panic!("{errors}: {text}"))
        });
        Self(compiled.collect())
    }

    /// Whether the request comes to us. An error is none of these: under `Fail` the API server would refuse the request.
    fn lets_through(&self, asked: &Asked<'_>) -> bool {
        let request = json!({
            "operation": asked.operation,
            "kind": {"group": asked.group, "version": "v1", "kind": asked.kind},
            "subResource": asked.subresource,
            "userInfo": {"username": "somebody", "groups": ["system:authenticated"]},
        });
        let old = if asked.operation == "CREATE" {
            &Value::Null
        } else {
            asked.old
        };
        let mut context = Context::default();
        context.add_variable("request", &request).unwrap();
        context.add_variable("object", asked.new).unwrap();
        context.add_variable("oldObject", old).unwrap();
        self.0
            .iter()
            .all(|program| match program.execute(&context) {
                Ok(cel::Value::Bool(answer)) => answer,
                other => panic!("{other:?} for {}: {}", asked.kind, asked.new),
            })
    }
}

/// The kinds that a rendering is about.
fn kinds(rendering: &Rendered) -> Kinds {
    let maps = rendering.of_kind("ConfigMap");
    let text = maps
        .iter()
        .find_map(|map| map["data"]["kinds.yaml"].as_str());
    let written: ConfiguredKinds = text.map_or_else(ConfiguredKinds::default, |text| {
        serde_saphyr::from_str(text).unwrap()
    });
    Kinds::with(&written).unwrap()
}

/// Whether the program judges anything, or refuses what it cannot read.
fn is_judged(kinds: &Kinds, asked: &Asked<'_>) -> bool {
    if asked.operation == "CREATE" {
        return true;
    }
    let kind = kinds.find(asked.group, asked.kind).unwrap();
    what_changed(kind, asked.subresource, asked.new, asked.old) != Ok(Change::Unchanged)
}

/// Calls `visit` with every request that edits one object by one or two edits.
fn every_update(kinds: &Kinds, mut visit: impl FnMut(&str, &Asked<'_>)) {
    for (group, kind, template) in KINDS {
        if kinds.find(group, kind).is_none() {
            continue;
        }
        let edits: Vec<_> = EDITS.iter().filter(|edit| edit.is_for(kind)).collect();
        for (index, first) in edits.iter().enumerate() {
            for second in &edits[index..] {
                // Edits of containers that another one took away mean nothing.
                let takes_away = [first, second]
                    .iter()
                    .any(|edit| edit.name.starts_with("no "));
                if takes_away && first.name != second.name && first.name != "nothing" {
                    continue;
                }
                for reversed in [false, true] {
                    let (old, mut new) =
                        (object(group, kind, template), object(group, kind, template));
                    first.apply(&mut new);
                    if first.name != second.name {
                        second.apply(&mut new);
                    }
                    let (new, old) = if reversed {
                        (&old.new, &new.new)
                    } else {
                        (&new.new, &old.new)
                    };
                    let name = format!("{}, {}", first.name, second.name);
                    for subresource in ["", "ephemeralcontainers"] {
                        if subresource.is_empty() || kind == "Pod" {
                            visit(
                                &name,
                                &Asked {
                                    operation: "UPDATE",
                                    group,
                                    kind,
                                    subresource,
                                    new,
                                    old,
                                },
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_that_is_judged_is_kept_away() {
    // With and without custom resources: the conditions of the others are those of the first.
    let (plain, custom) = (rendered("default"), rendered("everything"));
    for rendering in all() {
        let conditions = &rendering.validating()["matchConditions"];
        let known = [&plain, &custom].map(|known| known.validating()["matchConditions"].clone());
        assert!(known.contains(conditions), "{}", rendering.name);
    }
    for rendering in [plain, custom] {
        let kinds = kinds(&rendering);
        let conditions = Conditions::of(rendering.validating());
        let (mut judged, mut kept_away) = (0, 0);
        every_update(&kinds, |edits, asked| {
            let comes = conditions.lets_through(asked);
            if is_judged(&kinds, asked) {
                judged += 1;
                assert!(
                    comes,
                    "{}: {edits}: {} -> {}",
                    asked.kind, asked.old, asked.new
                );
            } else if !comes {
                kept_away += 1;
            }
        });
        assert!(judged > 1000 && kept_away > 500, "{judged} {kept_away}");
    }
}

#[test]
fn whatever_is_made_is_judged() {
    for rendering in all() {
        let conditions = Conditions::of(rendering.validating());
        for (group, kind, template) in KINDS {
            let made = object(group, kind, template);
            let asked = Asked {
                operation: "CREATE",
                group,
                kind,
                subresource: "",
                new: &made.new,
                old: &Value::Null,
            };
            assert!(conditions.lets_through(&asked), "{kind}");
        }
    }
}

/// Both webhooks see the same requests: what is judged has been pinned before.
#[test]
fn what_is_judged_can_be_pinned() {
    for rendering in all() {
        for configuration in rendering.of_kind("MutatingWebhookConfiguration") {
            let webhook = &configuration["webhooks"][0];
            assert_eq!(
                webhook["matchConditions"],
                rendering.validating()["matchConditions"]
            );
        }
    }
}

/// The table that a person reads: what passes while nobody is there to judge.
#[test]
fn what_passes_without_us_is_this() {
    let rendering = rendered("everything");
    let (kinds, conditions) = (kinds(&rendering), Conditions::of(rendering.validating()));
    let mut table = String::new();
    for (group, kind, template) in KINDS {
        writeln!(table, "{kind}").unwrap();
        for edit in EDITS.iter().filter(|edit| edit.is_for(kind)) {
            let (old, mut new) = (object(group, kind, template), object(group, kind, template));
            edit.apply(&mut new);
            let asked = Asked {
                operation: "UPDATE",
                group,
                kind,
                subresource: "",
                new: &new.new,
                old: &old.new,
            };
            let comes = conditions.lets_through(&asked);
            let said = match (is_judged(&kinds, &asked), comes) {
                (true, true) => "judged",
                (false, false) => "passes",
                (false, true) => "passes, and needs us to say so",
                (true, false) => "NOT JUDGED",
            };
            writeln!(table, "  {:<42} {said}", edit.name).unwrap();
        }
    }
    assert_snapshot!("what_passes_without_us", table);
}

#[test]
fn policies_are_checked_when_their_spec_changes() {
    let rendering = rendered("default");
    let webhook = rendering.webhook("ValidatingWebhookConfiguration", "vouchsafe-policies");
    let conditions = Conditions::of(webhook);
    let old = json!({"metadata": {"finalizers": ["a"]}, "spec": {"images": [{"glob": "**"}]}});
    let (mut metadata, mut spec) = (old.clone(), old.clone());
    metadata["metadata"] = json!({});
    metadata["status"] = json!({"conditions": []});
    spec["spec"]["images"] = json!([]);
    let nothing = json!({"metadata": {}});
    for (operation, new, old, comes) in [
        ("CREATE", &old, &Value::Null, true),
        ("UPDATE", &metadata, &old, false),
        ("UPDATE", &spec, &old, true),
        ("UPDATE", &nothing, &old, true),
        ("UPDATE", &old, &nothing, true),
    ] {
        let asked = Asked {
            operation,
            group: "policy.sigstore.dev",
            kind: "ClusterImagePolicy",
            subresource: "",
            new,
            old,
        };
        assert_eq!(conditions.lets_through(&asked), comes, "{operation} {new}");
    }
}
