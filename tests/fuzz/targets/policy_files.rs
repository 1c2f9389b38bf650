//! Files of policies: YAML and JSON mean the same, no two objects have one name, and every problem has its place.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use vouchsafe::adapters::files::fuzzing::documents;

fuzz_target!(|text: &str| {
    let (found, problems) = documents(text);
    let lines = u64::try_from(
        text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
            .count(),
    )
    .expect("a count");
    for problem in &problems {
        if let Some(position) = problem.position {
            assert!(position.line <= lines + 1, "{problem}");
        }
        assert!(!problem.to_string().contains('\r'));
    }
    if !problems.is_empty() {
        return;
    }
    let mut names = BTreeSet::new();
    for policy in &found.policies {
        assert!(policy.origin.line >= 1 && policy.origin.line <= lines);
        let name = policy
            .value
            .metadata
            .name
            .clone()
            .expect("a policy has a name");
        assert!(names.insert(name), "two policies of one name");
        let json = serde_json::to_string(&policy.value).expect("a policy is JSON");
        let (again, problems) = documents(&json);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(
            again.policies.first().map(|policy| &policy.value),
            Some(&policy.value)
        );
    }
});
