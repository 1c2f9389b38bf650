//! Policies: what is accepted compiles, and no policy that is broken stops matching.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::api::decode_cluster_image_policy;
use vouchsafe::apply::{Severity, Surroundings, check_policy, refusal};
use vouchsafe::image::ImageReference;
use vouchsafe::limits::json::parse_strict;
use vouchsafe::policy::{PolicySet, Problem, Referents, compile};

// A panic of the engine is caught where the engine is called (T-11), and no finding; one of an assertion here still ends the run.
fuzz_target!(init: drop(std::panic::take_hook()), |bytes: &[u8]| {
    let Ok(value) = parse_strict(bytes, 64) else {
        return;
    };
    let Ok(policy) = decode_cluster_image_policy(value) else {
        return;
    };
    let written = serde_json::to_value(&policy).expect("a policy is JSON");
    assert_eq!(decode_cluster_image_policy(written).as_ref(), Ok(&policy));

    let referents = Referents::default();
    let findings = check_policy(&policy, "cosign-system", Surroundings::Wholly(&referents));
    let compiled = compile(&policy, &referents);
    if let Err(problems) = &compiled.body {
        assert!(!problems.is_empty());
        // Everything that breaks it is told to who applies it.
        assert!(!findings.is_empty(), "{problems:?}");
        let is_refused = |problem: &Problem| {
            !problem.is_not_supported() && !problem.is_unresolved() && !problem.is_elsewhere()
        };
        let is_refused = problems.iter().any(is_refused);
        assert!(!is_refused || refusal(&findings).is_some(), "{problems:?}");
    }
    for finding in &findings {
        let _ = finding.problem.to_string();
        assert!(finding.severity == Severity::Warning || refusal(&findings).is_some());
    }
    let is_everything = compiled.globs.iter().any(|glob| glob.as_str() == "**");
    let is_broken = compiled.body.is_err();
    let Ok(set) = PolicySet::new(vec![compiled]) else {
        return;
    };
    let image: ImageReference = "registry.example.com/shop/cart:1.4"
        .parse()
        .expect("a reference");
    assert!(!(is_broken && is_everything) || !set.matching(&image, None).is_empty());
});
