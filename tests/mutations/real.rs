//! Real evidence that nobody here made: bundles, and layers of `.sig` and `.att`, out of the recorded vectors.

use std::path::Path;

use serde_json::Value;
use vouchsafe::evidence::Format;
use vouchsafe::image::Digest;

use crate::specimen::{Asked, Specimen, Wanted, anybody, requirement};
use crate::support::vectors::vectors;

/// Those that are good, by an identity, and ask for nothing unusual.
pub(crate) fn specimens() -> Vec<Specimen> {
    let Some(folder) = vectors() else {
        return Vec::new();
    };
    let index = std::fs::read(folder.join("INDEX.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let cases = index["cases"].as_array().unwrap().iter();
    cases.filter_map(|case| specimen(&folder, case)).collect()
}

fn specimen(folder: &Path, case: &Value) -> Option<Specimen> {
    let is_plain = case["expected"] == "pass"
        && case["key"].is_null()
        && case["options"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty);
    let root = folder.join(case["trusted_root"].as_str().filter(|_| is_plain)?);
    let image: Digest = case["digest"].as_str()?.parse().ok()?;
    let (format, documents) = match case["kind"].as_str()? {
        "bundle" => {
            let file = case["files"]["bundle"].as_str()?;
            let bytes = std::fs::read(folder.join(file)).unwrap();
            (Format::Bundle, vec![("layer".to_owned(), bytes)])
        }
        "cosign-sig" => (Format::SignatureTag, layer(folder, case, ".sig")?),
        "cosign-att" => (Format::AttestationTag, layer(folder, case, ".att")?),
        _ => return None,
    };
    let asked = requirement(&anybody("r"), &std::fs::read(&root).unwrap());
    let asked = asked
        .map_err(|why| println!("{}: its root: {why}", case["id"]))
        .ok()?;
    let specimen = |wanted| Specimen {
        name: case["id"].as_str().unwrap().to_owned(),
        documents: documents.clone(),
        format,
        wanted,
        asked: Asked::Log,
        image: image.clone(),
        requirement: asked.clone(),
    };
    // A bundle says itself whether it is a signature or an attestation.
    let kinds = [Wanted::Signature, Wanted::Attestation];
    let good = kinds
        .map(specimen)
        .into_iter()
        .find(|specimen| specimen.proven(&documents).is_ok());
    if good.is_none() {
        println!("{}: passed over, it is not taken for good", case["id"]);
    }
    good
}

/// The first layer under the tag with this ending, and its annotations.
fn layer(folder: &Path, case: &Value, ending: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let manifests = case["registry"]["manifests"].as_array()?;
    let manifest = manifests.iter().find(|manifest| {
        manifest["ref"]
            .as_str()
            .is_some_and(|reference| reference.ends_with(ending))
    })?;
    let manifest = std::fs::read(folder.join(manifest["file"].as_str()?)).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = &manifest["layers"][0];
    let blobs = case["registry"]["blobs"].as_array()?;
    let blob = blobs
        .iter()
        .find(|blob| blob["digest"] == layer["digest"])?;
    let bytes = std::fs::read(folder.join(blob["file"].as_str()?)).unwrap();
    let mut documents = vec![("layer".to_owned(), bytes)];
    // Beside an envelope, which has its own signature, some annotations only help to find it.
    let finding = ["dev.cosignproject.cosign/signature", "predicateType"];
    let is_read = |name: &str| ending == ".sig" || !finding.contains(&name);
    let annotations = layer["annotations"].as_object()?.iter();
    for (name, value) in annotations.filter(|(name, _)| is_read(name)) {
        documents.push((name.clone(), value.as_str()?.as_bytes().to_vec()));
    }
    Some(documents)
}
