//! Pages of the referrers API: where a page is, and where the registry says that the next one is.
//!
//! OCI distribution specification 1.1, "Listing Referrers". Of a `Link` (RFC 8288) only the query is taken, and only when its path is
//! that of the list: a registry leads us to its next page and nowhere else (T-53).

use http::header::LINK;
use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::gather::registry::{PageToken, ReferrersPage};
use crate::image::Repository;

/// The header in which a registry says by what it filtered.
const FILTERS_APPLIED: &str = "oci-filters-applied";

/// The longest query of a next page, in bytes.
const TOKEN_BYTES: usize = 4 << 10;

/// The path of a page behind its repository, with its query.
pub(super) fn path(page: &ReferrersPage) -> String {
    let path = format!("referrers/{}", page.subject);
    match (&page.from, page.artifact_type) {
        (Some(PageToken { query, .. }), _) => format!("{path}?{query}"),
        (None, Some(wanted)) => {
            let query: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("artifactType", wanted)
                .finish();
            format!("{path}?{query}")
        }
        (None, None) => path,
    }
}

/// Whether other artifact types were left out.
pub(super) fn filtered(headers: &HeaderMap) -> bool {
    let values = headers.get_all(FILTERS_APPLIED).iter();
    values.filter_map(|value| value.to_str().ok()).any(|value| {
        value
            .split(',')
            .any(|filter| filter.trim().eq_ignore_ascii_case("artifactType"))
    })
}

/// Whether the page lists nothing at all. What cannot be read is not called empty.
pub(super) fn is_empty(page: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Page {
        manifests: Option<Vec<IgnoredAny>>,
    }
    let page: Option<Page> = serde_json::from_slice(page).ok();
    page.is_some_and(|page| page.manifests.is_none_or(|manifests| manifests.is_empty()))
}

/// Where the list goes on; an error when that is no page of this list.
pub(super) fn next(
    headers: &HeaderMap,
    repository: &Repository,
    page: &ReferrersPage,
) -> Result<Option<PageToken>, &'static str> {
    let target = headers.get_all(LINK).iter().find_map(next_of);
    let Some(target) = target else {
        return Ok(None);
    };
    // The host does not matter, and neither does a proxy that rewrites it: it is not followed.
    let list = format!(
        "https://registry/v2/{}/referrers/{}",
        repository.path(),
        page.subject
    );
    let list = Url::parse(&list).map_err(|_| "its own address cannot be formed")?;
    let next = list
        .join(&target)
        .map_err(|_| "its next page has no address")?;
    if decoded(next.path()) != decoded(list.path()) {
        return Err("its next page is not a page of the same list");
    }
    match next.query() {
        Some(query) if query.len() <= TOKEN_BYTES => Ok(Some(PageToken {
            query: query.to_owned(),
            listed_by: repository.clone(),
        })),
        Some(_) => Err("the address of its next page is too long"),
        None => Err("its next page is its first one"),
    }
}

/// The target of the link `rel="next"` in one header.
fn next_of(value: &HeaderValue) -> Option<String> {
    let mut rest = value.to_str().ok()?;
    loop {
        let (_, from_target) = rest.split_once('<')?;
        let (target, parameters) = from_target.split_once('>')?;
        let end = parameters.find('<').unwrap_or(parameters.len());
        let (own, following) = parameters.split_at_checked(end)?;
        if own.split([';', ',']).any(is_next) {
            return Some(target.to_owned());
        }
        rest = following;
    }
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    name.trim().eq_ignore_ascii_case("rel")
        && value
            .trim()
            .trim_matches('"')
            .split_ascii_whitespace()
            .any(|relation| relation.eq_ignore_ascii_case("next"))
}

/// A path in one spelling: the colon of a digest may be written in two ways.
fn decoded(path: &str) -> String {
    path.replace("%3A", ":").replace("%3a", ":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn page() -> ReferrersPage {
        ReferrersPage {
            subject: Digest::sha256_of(b"x"),
            artifact_type: Some("application/vnd.dev.sigstore.bundle.v0.3+json"),
            from: None,
        }
    }

    fn next_after(link: &str) -> Result<Option<PageToken>, &'static str> {
        let subject = page().subject.to_string();
        let link = link.replace("SUBJECT", &subject);
        let mut headers = HeaderMap::new();
        headers.insert(LINK, link.parse().unwrap());
        let repository = Repository::parse("registry.example/t/app").unwrap();
        next(&headers, &repository, &page())
    }

    #[test]
    fn the_filter_is_written_so_that_its_plus_stays_one() {
        let path = path(&page());
        assert!(
            path.ends_with("?artifactType=application%2Fvnd.dev.sigstore.bundle.v0.3%2Bjson"),
            "{path}"
        );
    }

    #[test]
    fn a_next_page_is_found_in_every_spelling_of_a_link() {
        for link in [
            "</v2/t/app/referrers/SUBJECT?last=a&n=5>; rel=\"next\"",
            "<https://elsewhere.example/v2/t/app/referrers/SUBJECT?last=a&n=5>;rel=next",
            "<?last=a&n=5>; title=\"x\"; REL=\"prev Next\"",
            "</v2/t/app/referrers/SUBJECT?last=z>; rel=\"first\", <?last=a&n=5>; rel=\"next\"",
        ] {
            let next = PageToken {
                query: "last=a&n=5".to_owned(),
                listed_by: Repository::parse("registry.example/t/app").unwrap(),
            };
            assert_eq!(next_after(link), Ok(Some(next)), "{link}");
        }
        assert_eq!(next_after("<?last=a>; rel=\"prev\""), Ok(None));
        assert_eq!(next_after("nonsense"), Ok(None));
    }

    #[test]
    fn a_next_page_of_something_else_is_an_error_and_not_the_end_of_the_list() {
        for link in [
            "</v2/t/other/referrers/SUBJECT?last=a>; rel=\"next\"",
            "</v2/t/app/manifests/SUBJECT?last=a>; rel=\"next\"",
            "<http://169.254.169.254/latest?x=y>; rel=\"next\"",
            "</v2/t/app/referrers/SUBJECT>; rel=\"next\"",
        ] {
            assert!(next_after(link).is_err(), "{link}");
        }
        let long = format!("<?last={}>; rel=\"next\"", "a".repeat(TOKEN_BYTES));
        assert!(next_after(&long).is_err());
    }

    #[test]
    fn a_registry_says_by_what_it_filtered() {
        let mut headers = HeaderMap::new();
        assert!(!filtered(&headers));
        headers.insert(FILTERS_APPLIED, "annotation, artifactType".parse().unwrap());
        assert!(filtered(&headers));
    }
}
