//! References to keys of a key management service, by URI.
//!
//! AWS keys must be named by an ARN: every other form needs settings that only the environment has. The format is
//! <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id>.

use regex::Regex;

use super::super::problem::Problem;

const AWS: &str = "awskms://";
const PROVIDERS: [&str; 4] = [AWS, "azurekms://", "hashivault://", "gcpkms://"];

/// What may follow `awskms://`: an endpoint, then a key id, a key's ARN, an alias or an alias' ARN.
const AWS_REFERENCE: &str = concat!(
    r"^awskms://[^/]*/(?:",
    r"(?:arn:(?:aws|aws-us-gov|aws-cn):kms:[a-z0-9-]+:[0-9]{12}:key/)?",
    r"m?r?k?-?[A-Fa-f0-9]{8}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{12}",
    r"|(?:arn:(?:aws|aws-us-gov|aws-cn):kms:[a-z0-9-]+:[0-9]{12}:)?alias/.*",
    r")$"
);

/// What is wrong with a reference, which stands in `field`.
pub(super) fn reference(kms: &str, field: &str) -> Option<Problem> {
    let details = if !PROVIDERS.iter().any(|provider| kms.starts_with(provider)) {
        format!(
            "malformed KMS format, should be prefixed by any of the supported providers: [{}]",
            PROVIDERS.join(" ")
        )
    } else if kms.starts_with(AWS) {
        aws(kms)?
    } else {
        return None;
    };
    Some(Problem::invalid(kms, field, details))
}

fn aws(kms: &str) -> Option<String> {
    const FORMAT: &str =
        "kms key should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN] (endpoint optional)";
    let mut parts = kms.split('/').skip(2);
    let (Some(endpoint), Some(key)) = (parts.next(), parts.next()) else {
        return Some(
            "malformed AWS KMS format 'awskms://$ENDPOINT/$KEYID', should be conformant with KMS standard documented here: \
             https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id"
                .to_owned(),
        );
    };
    let conforms = Regex::new(AWS_REFERENCE).is_ok_and(|format| format.is_match(kms));
    if !conforms || endpoint.starts_with("arn") || endpoint.starts_with("alias") {
        return Some(FORMAT.to_owned());
    }
    if !endpoint.is_empty()
        && let Err(reason) = host_and_port(endpoint)
    {
        return Some(format!("malformed endpoint: address {endpoint}: {reason}"));
    }
    let is_arn = key.starts_with("arn:");
    (!is_arn).then(|| "failed to parse either key or alias arn: arn: invalid prefix".to_owned())
}

/// Whether a text is `host:port`, with the reason that Go gives where it is not.
fn host_and_port(text: &str) -> Result<(), &'static str> {
    let Some((host, _)) = text.rsplit_once(':') else {
        return Err("missing port in address");
    };
    let host = match text.strip_prefix('[') {
        None => host,
        Some(rest) => match rest.split_once(']') {
            None => return Err("missing ']' in address"),
            Some((_, "")) => return Err("missing port in address"),
            Some((inside, port)) if port.rfind(':') == Some(0) => {
                return if inside.contains('[') {
                    Err("unexpected '[' in address")
                } else {
                    Ok(())
                };
            }
            Some((_, rest)) if rest.starts_with(':') => return Err("too many colons in address"),
            Some(_) => return Err("missing port in address"),
        },
    };
    if host.contains(':') {
        return Err("too many colons in address");
    }
    if host.contains('[') {
        return Err("unexpected '[' in address");
    }
    if host.contains(']') {
        return Err("unexpected ']' in address");
    }
    Ok(())
}
