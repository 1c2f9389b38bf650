//! What a program over a whole policy is given: one JSON document, member by member as policy-controller writes it.
//!
//! `authorityMatches` is always there; each of the others only where the policy asks for it and there is something to give.
//! `incomplete` is the one member that policy-controller does not have: `true` where a place for evidence could not be read, for
//! programs that hold when something is *not* there. An image
//! that is judged by its name alone has no object, so it has no `spec`, no `metadata` and no `typemeta`.

use serde_json::{Map, Value, json};

use crate::gather::ConfigFiles;
use crate::policy::Inputs;
use crate::workload::Request;

/// The document, as text.
pub(super) fn document(
    authority_matches: Map<String, Value>,
    inputs: Inputs,
    request: Option<&Request>,
    configs: Option<&ConfigFiles>,
    incomplete: bool,
) -> String {
    let mut members = vec![(
        "authorityMatches",
        Value::Object(authority_matches).to_string(),
    )];
    if incomplete {
        members.push(("incomplete", "true".to_owned()));
    }
    if let Some(configs) = configs.filter(|configs| !configs.is_empty()) {
        members.push(("config", configs.json()));
    }
    if let Some(request) = request {
        let of_object = [
            ("spec", inputs.spec.then(|| spec(request)).flatten()),
            (
                "metadata",
                inputs
                    .metadata
                    .then(|| request.object.get("metadata").cloned())
                    .flatten(),
            ),
            ("typemeta", inputs.type_meta.then(|| type_meta(request))),
        ];
        let given = of_object
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value.to_string())));
        members.extend(given);
    }
    let members: Vec<String> = members
        .iter()
        .map(|(name, text)| format!("\"{name}\":{text}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The whole `spec`, as the API server sent it. A `PodTemplate` has none; its template stands where workloads have theirs.
fn spec(request: &Request) -> Option<Value> {
    let object = &request.object;
    object.get("spec").cloned().or_else(|| {
        object
            .get("template")
            .map(|template| json!({ "template": template }))
    })
}

fn type_meta(request: &Request) -> Value {
    let api_version = if request.group.is_empty() {
        request.version.clone()
    } else {
        format!("{}/{}", request.group, request.version)
    };
    json!({"kind": request.kind, "apiVersion": api_version})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Operation;

    fn request(object: Value) -> Request {
        Request {
            uid: String::new(),
            operation: Operation::Create,
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "Deployment".to_owned(),
            subresource: String::new(),
            namespace: "shop".to_owned(),
            name: "cart".to_owned(),
            object,
            old_object: None,
            dry_run: false,
        }
    }

    const EVERYTHING: Inputs = Inputs {
        config: true,
        spec: true,
        metadata: true,
        type_meta: true,
    };

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_object_gives_what_is_asked_for_and_nothing_else() {
        let request = request(json!({
            "metadata": {"name": "cart", "labels": {"a": "b"}},
            "spec": {"replicas": 2, "strategy": {"type": "Recreate"}, "aFieldOfTomorrow": 1},
        }));
        let nothing = document(Map::new(), Inputs::default(), Some(&request), None, false);
        assert_eq!(read(&nothing), json!({"authorityMatches": {}}));
        let everything = document(Map::new(), EVERYTHING, Some(&request), None, false);
        assert_eq!(
            read(&everything),
            json!({
                "authorityMatches": {},
                "metadata": {"name": "cart", "labels": {"a": "b"}},
                "spec": {"replicas": 2, "strategy": {"type": "Recreate"}, "aFieldOfTomorrow": 1},
                "typemeta": {"kind": "Deployment", "apiVersion": "apps/v1"},
            })
        );
    }

    #[test]
    fn an_image_without_an_object_gives_its_authorities_alone() {
        let text = document(Map::new(), EVERYTHING, None, None, false);
        assert_eq!(read(&text), json!({"authorityMatches": {}}));
    }

    #[test]
    fn what_could_not_be_read_is_said_and_nothing_is_said_where_all_was() {
        let text = document(Map::new(), Inputs::default(), None, None, true);
        assert_eq!(
            read(&text),
            json!({"authorityMatches": {}, "incomplete": true})
        );
    }

    #[test]
    fn a_pod_template_gives_its_template_where_workloads_have_theirs() {
        let mut request = request(json!({"template": {"spec": {"hostNetwork": true}}}));
        (request.group, request.kind) = (String::new(), "PodTemplate".to_owned());
        let found = read(&document(
            Map::new(),
            EVERYTHING,
            Some(&request),
            None,
            false,
        ));
        assert_eq!(found["spec"]["template"]["spec"]["hostNetwork"], true);
        assert_eq!(
            found["typemeta"],
            json!({"kind": "PodTemplate", "apiVersion": "v1"})
        );
    }
}
