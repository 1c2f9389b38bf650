//! `WWW-Authenticate` as registries write it: RFC 9110 §11.6.1, and the `Bearer` challenge of the distribution specification.
//!
//! In come header values that a registry wrote; out comes the challenge that we answer, or nothing. The input is hostile: it is
//! bounded, and nothing in it is taken as anything but text. Whether its realm may be contacted is decided by `fence`.

/// The longest header value that is read, in bytes.
const VALUE_BYTES: usize = 4 << 10;
/// The number of header values that are read.
const VALUES: usize = 8;
/// The number of parameters that are read in one header value.
const PARAMETERS: usize = 32;

/// What a registry wants to see before it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from a token service.
    Bearer {
        /// The URL of the token service, as written.
        realm: String,
        /// The name under which the token service knows the registry.
        service: Option<String>,
    },
}

/// One scheme and its parameters, as parsed.
#[derive(Debug, Default)]
struct Parsed<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl Challenge {
    /// The challenge to answer: the first `Bearer` that names a realm, otherwise `Basic`.
    pub(super) fn choose<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let found: Vec<Self> = values
            .into_iter()
            .take(VALUES)
            .filter(|value| value.len() <= VALUE_BYTES)
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(parse)
            .filter_map(|parsed| parsed.challenge())
            .collect();
        found
            .iter()
            .find(|challenge| matches!(challenge, Self::Bearer { .. }))
            .or(found.first())
            .cloned()
    }

    /// The bytes of its text.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Basic => 0,
            Self::Bearer { realm, service } => realm
                .len()
                .saturating_add(service.as_ref().map_or(0, String::len)),
        }
    }
}

impl Parsed<'_> {
    fn challenge(&self) -> Option<Challenge> {
        if self.scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !self.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameter = |name: &str| {
            self.parameters
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
        };
        Some(Challenge::Bearer {
            realm: parameter("realm")?,
            service: parameter("service"),
        })
    }
}

/// Splits one header value into its challenges. What does not parse ends it; what was read before stands.
fn parse(value: &str) -> Vec<Parsed<'_>> {
    let mut found: Vec<Parsed<'_>> = Vec::new();
    let mut rest = value;
    for _ in 0..PARAMETERS {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((word, after)) = token(rest) else {
            break;
        };
        let tail = after.trim_start_matches([' ', '\t']);
        if let Some(text) = tail.strip_prefix('=') {
            let Some((text, after)) = parameter_value(text.trim_start_matches([' ', '\t'])) else {
                break;
            };
            let Some(last) = found.last_mut() else { break };
            last.parameters.push((word, text));
            rest = after;
        } else {
            found.push(Parsed {
                scheme: word,
                parameters: Vec::new(),
            });
            rest = after;
        }
    }
    found
}

/// A token of RFC 9110 §5.6.2 and what follows it.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    text.split_at_checked(end)
        .filter(|(word, _)| !word.is_empty())
}

/// A quoted string or a token, unquoted, and what follows it. Control characters are refused.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Realms are seen without quotes although `:` and `/` are not token characters.
        let end = text.find([',', ' ', '\t', '"']).unwrap_or(text.len());
        return text
            .split_at_checked(end)
            .filter(|(word, _)| !word.is_empty() && !word.contains(char::is_control))
            .map(|(word, rest)| (word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return quoted.get(at.saturating_add(1)..).map(|rest| (value, rest)),
            '\\' => value.push(
                characters
                    .next()
                    .map(|(_, escaped)| escaped)
                    .filter(|c| !c.is_control())?,
            ),
            c if c.is_control() => return None,
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn choose(values: &[&str]) -> Option<Challenge> {
        Challenge::choose(values.iter().map(|value| value.as_bytes()))
    }

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        }
    }

    #[test]
    fn reads_what_registries_write() {
        assert_eq!(
            choose(&[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#
            ]),
            Some(bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io")
            ))
        );
        assert_eq!(
            choose(&[r#"Basic realm="Registry Realm""#]),
            Some(Challenge::Basic)
        );
        assert_eq!(choose(&["basic"]), Some(Challenge::Basic));
        assert_eq!(
            choose(&[r#"bearer   Realm = "https://a/t" , error="invalid_token""#]),
            Some(bearer("https://a/t", None))
        );
        assert_eq!(
            choose(&["Bearer realm=https://a/t,service=b"]),
            Some(bearer("https://a/t", Some("b")))
        );
    }

    #[test]
    fn a_bearer_challenge_wins_over_basic_wherever_it_stands() {
        let expected = Some(bearer("https://a/t", Some("s, with a comma")));
        assert_eq!(
            choose(&[r#"Basic realm="x", Bearer realm="https://a/t",service="s, with a comma""#]),
            expected
        );
        assert_eq!(
            choose(&[
                r#"Basic realm="x""#,
                r#"Bearer realm="https://a/t",service="s, with a comma""#
            ]),
            expected
        );
        assert_eq!(
            choose(&[r#"Negotiate, Basic realm="x""#]),
            Some(Challenge::Basic)
        );
    }

    #[test]
    fn escapes_in_quoted_strings_are_undone() {
        assert_eq!(
            choose(&[r#"Bearer realm="https://a/\"t\\",service="s""#]),
            Some(bearer(r#"https://a/"t\"#, Some("s")))
        );
    }

    #[test]
    fn what_cannot_be_read_is_no_challenge() {
        for value in [
            "",
            ",,,",
            "=",
            "Bearer",
            "Bearer realm",
            "Bearer realm=",
            r#"Bearer realm="https://a"#,
            "Bearer realm=\"a\nb\"",
            "Digest realm=\"x\"",
            "\u{7f}",
            "Bearer realm=\"\\",
        ] {
            assert_eq!(choose(&[value]), None, "{value:?}");
        }
        assert_eq!(Challenge::choose([&b"Basic \xff"[..]]), None);
        assert_eq!(
            choose(&[&format!("Basic realm=\"{}\"", "x".repeat(VALUE_BYTES))]),
            None
        );
        assert_eq!(choose(&[&"a=b,".repeat(900)]), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_breaks(values in vec(vec(any::<u8>(), 0..200), 0..4)) {
            Challenge::choose(values.iter().map(Vec::as_slice));
        }

        #[test]
        fn near_misses_do_not_break_it_either(value in r#"(Bearer|Basic|[a-z]{0,3})?([ ,=\\\\"]|realm|é|http://a){0,20}"#) {
            Challenge::choose([value.as_bytes()]);
        }
    }
}
