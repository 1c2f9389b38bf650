//! What kind of document a registry sent, told by its `Content-Type` and by its own words, which must agree (T-50).
//!
//! The same bytes can be read as a manifest and as an index (CVE-2021-41190). Whoever reads them later gets one kind.

use std::sync::LazyLock;

use http::HeaderValue;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::image::media_type::{INDEXES, MANIFESTS};

/// Every kind of manifest and index that is asked for.
pub(super) static ACCEPT: LazyLock<String> = LazyLock::new(|| {
    let both = MANIFESTS.iter().zip(&INDEXES);
    let kinds: Vec<&str> = both.flat_map(|(one, many)| [*one, *many]).collect();
    kinds.join(", ")
});

/// The members that tell a manifest from an index. A member that stands twice is an error.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
}

/// The media type of a document, or why it cannot be told. `content_type` is the header as it came.
pub(super) fn media_type(
    content_type: Option<&HeaderValue>,
    bytes: &[u8],
) -> Result<String, String> {
    // The parser's own words would quote the document.
    let unreadable = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        format!("not the JSON of a manifest (line {line}, column {column})")
    };
    let shape: Shape = serde_json::from_slice(bytes).map_err(unreadable)?;
    if shape.layers.is_some() && shape.manifests.is_some() {
        return Err("it has both layers and manifests".to_owned());
    }
    let declared = content_type.map(essence).transpose()?;
    let media_type = match (declared, shape.media_type) {
        (Some(declared), Some(own)) if declared != own => {
            return Err(format!(
                "Content-Type is {}, mediaType is {}",
                super::fence::printable(&declared),
                super::fence::printable(&own)
            ));
        }
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) => return Err("neither Content-Type nor mediaType say what it is".to_owned()),
    };
    if INDEXES.contains(&media_type.as_str()) && shape.layers.is_some() {
        return Err("it is called an index and has layers".to_owned());
    }
    if MANIFESTS.contains(&media_type.as_str()) && shape.manifests.is_some() {
        return Err("it is called a manifest and has manifests".to_owned());
    }
    Ok(media_type)
}

/// A media type without its parameters.
fn essence(value: &HeaderValue) -> Result<String, String> {
    let text = value
        .to_str()
        .map_err(|_| "Content-Type is not text".to_owned())?;
    Ok(text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::media_type::{IMAGE_INDEX as INDEX, IMAGE_MANIFEST as MANIFEST};

    fn told(content_type: Option<&'static str>, body: &str) -> Result<String, String> {
        media_type(
            content_type.map(HeaderValue::from_static).as_ref(),
            body.as_bytes(),
        )
    }

    #[test]
    fn asks_for_both_words_for_both_kinds_the_newer_first() {
        assert_eq!(
            ACCEPT.as_str(),
            "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
             application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
        );
    }

    #[test]
    fn header_and_document_agree_or_one_of_them_is_silent() {
        let own = format!(r#"{{"mediaType":"{MANIFEST}","layers":[]}}"#);
        assert_eq!(told(Some(MANIFEST), &own).unwrap(), MANIFEST);
        assert_eq!(
            told(
                Some("Application/vnd.oci.image.manifest.v1+JSON; charset=utf-8"),
                &own
            )
            .unwrap(),
            MANIFEST
        );
        assert_eq!(told(None, &own).unwrap(), MANIFEST);
        assert_eq!(told(Some(MANIFEST), r#"{"layers":[]}"#).unwrap(), MANIFEST);
    }

    #[test]
    fn refuses_documents_that_could_be_read_in_two_ways() {
        let own = format!(r#"{{"mediaType":"{INDEX}","manifests":[]}}"#);
        for (content_type, body) in [
            (Some(MANIFEST), own.as_str()),
            (Some(INDEX), r#"{"layers":[],"manifests":[]}"#),
            (Some(INDEX), r#"{"layers":[]}"#),
            (Some(MANIFEST), r#"{"manifests":[]}"#),
            (Some("text/html"), "<html></html>"),
            (Some("text/html"), own.as_str()),
            (Some(INDEX), r#"{"manifests":[],"manifests":[]}"#),
            (Some(INDEX), r#"{"mediaType":1}"#),
            (Some(INDEX), "[]"),
            (None, "{}"),
        ] {
            assert!(told(content_type, body).is_err(), "{content_type:?} {body}");
        }
    }
}
