//! The chain from a signer's certificate to a certificate authority that is trusted, at one time (RFC 5280 §6, by `rustls-webpki`).

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sigstore_crypto::WEBPKI_VERIFICATION_ALGS;
use sigstore_types::DerCertificate;
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_cert::Certificate;
use x509_cert::der::{Any, Decode as _, Encode as _, Tag};
use x509_cert::time::Time;

use crate::limits::json::brief;
use crate::trust::TrustMaterial;

/// `id-kp-codeSigning` (RFC 5280 §4.2.1.12), as the content of its DER.
const CODE_SIGNING: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// The `SubjectPublicKeyInfo` of whoever issued the first of these certificates, if at this time the whole chain is valid, is for signing
/// code, and ends in an authority whose window is open.
pub(super) fn issuer(
    certificates: &[DerCertificate],
    trust: &TrustMaterial,
    time: Timestamp,
) -> Result<Vec<u8>, String> {
    // An authority that is trusted ends the path, so that nobody else looks at the dates of its own certificate (T-31).
    let open = trust
        .certificate_authorities()
        .filter(|(authority, window)| {
            window.is_none_or(|window| window.contains(time)) && is_good(authority, time)
        });
    let authorities: Vec<CertificateDer<'_>> = open
        .map(|(certificate, _)| CertificateDer::from(certificate.as_bytes()))
        .collect();
    let anchors: Result<Vec<TrustAnchor<'_>>, _> = authorities
        .iter()
        .map(webpki::anchor_from_trusted_cert)
        .collect();
    let anchors = anchors.map_err(|e| brief(&e))?;
    if anchors.is_empty() {
        return Err(format!(
            "no trusted certificate authority is valid at {time}"
        ));
    }
    let mut chain = certificates
        .iter()
        .map(|certificate| CertificateDer::from(certificate.as_bytes()));
    let leaf = chain
        .next()
        .ok_or_else(|| "there is no certificate".to_owned())?;
    let between: Vec<CertificateDer<'_>> = chain.collect();
    let leaf = EndEntityCert::try_from(&leaf).map_err(|e| brief(&e))?;
    let seconds = u64::try_from(time.as_second()).map_err(|e| brief(&e))?;
    let path = leaf.verify_for_usage(
        WEBPKI_VERIFICATION_ALGS,
        &anchors,
        &between,
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)),
        KeyUsage::required(&CODE_SIGNING),
        None,
        None,
    );
    let path = path.map_err(|e| {
        let detail = dated(&e.to_string());
        format!("certificate chain validation failed: {}", brief(&detail))
    })?;
    issuer_of(&path)
}

/// Whether this is within the dates of the certificate itself, both of them included.
fn is_good(certificate: &DerCertificate, time: Timestamp) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate.as_bytes()) else {
        return false;
    };
    let dates = &certificate.tbs_certificate.validity;
    let date = |date: Time| i64::try_from(date.to_unix_duration().as_secs());
    match (date(dates.not_before), date(dates.not_after)) {
        (Ok(from), Ok(until)) => (from..=until).contains(&time.as_second()),
        _ => false,
    }
}

/// Taken from the verified path: several authorities may have one name.
fn issuer_of(path: &VerifiedPath<'_>) -> Result<Vec<u8>, String> {
    if let Some(issuer) = path.intermediate_certificates().next() {
        return Ok(issuer.subject_public_key_info().as_ref().to_vec());
    }
    // Of an anchor the content is kept without its header.
    let content = path.anchor().subject_public_key_info.as_ref();
    Any::new(Tag::Sequence, content)
        .and_then(|info| info.to_der())
        .map_err(|e| brief(&e))
}

/// The same with times that a person can read: `UnixTime(0)` is written as a date.
pub(super) fn dated(text: &str) -> String {
    const BEFORE: &str = "UnixTime(";
    let mut pieces = text.split(BEFORE);
    let mut dated = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let time = piece.split_once(')').and_then(|(seconds, rest)| {
            let time = Timestamp::from_second(seconds.parse().ok()?).ok()?;
            Some((time, rest))
        });
        match time {
            Some((time, rest)) => dated.extend([&time.to_string(), rest]),
            None => dated.extend([BEFORE, piece]),
        }
    }
    dated
}

#[cfg(test)]
mod tests {
    use super::dated;

    #[test]
    fn times_are_written_as_dates() {
        assert_eq!(
            dated("CertExpired { time: UnixTime(1675296000), not_after: UnixTime(1675210200) }"),
            "CertExpired { time: 2023-02-02T00:00:00Z, not_after: 2023-02-01T00:10:00Z }"
        );
        assert_eq!(
            dated("no UnixTime(x) here, UnixTime("),
            "no UnixTime(x) here, UnixTime("
        );
    }
}
