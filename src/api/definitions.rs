//! The definitions of both kinds, as they are installed in a cluster.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt as _;

use super::{CLUSTER_IMAGE_POLICY_VERSIONS, ClusterImagePolicy, TRUST_ROOT_VERSIONS, TrustRoot};

/// The definitions of `ClusterImagePolicy` and `TrustRoot`.
///
/// Every served version has the same schema, the first is stored, and nothing is converted:
/// what a user wrote in one version reads the same in the other.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        with_versions(ClusterImagePolicy::crd(), &CLUSTER_IMAGE_POLICY_VERSIONS),
        with_versions(TrustRoot::crd(), &TRUST_ROOT_VERSIONS),
    ]
}

/// Repeats the one derived version under each name.
fn with_versions(
    mut definition: CustomResourceDefinition,
    names: &[&str],
) -> CustomResourceDefinition {
    let mut derived = std::mem::take(&mut definition.spec.versions);
    derived
        .iter_mut()
        .filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
        .for_each(refuse_null);
    for (index, name) in names.iter().enumerate() {
        definition
            .spec
            .versions
            .extend(derived.iter().cloned().map(|mut version| {
                (*name).clone_into(&mut version.name);
                version.storage = index == 0;
                version
            }));
    }
    definition.spec.conversion = Some(CustomResourceConversion {
        strategy: "None".to_owned(),
        webhook: None,
    });
    definition
}

/// Takes `nullable` back from every optional field, so that no `null` is ever stored: other
/// controllers of the same resources have schemas without it.
fn refuse_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|all| all.values_mut())
    {
        refuse_null(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        refuse_null(items);
    }
}
