//! Until when a certificate is valid: the one field of X.509 (RFC 5280 §4.1) that serving needs to know.

use jiff::Timestamp;
use spki::der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use spki::der::{Decode, ErrorKind, Result, SliceReader, Tag, Tagged};

/// `notAfter` of a certificate in DER.
pub(super) fn not_after(certificate: &[u8]) -> Result<Timestamp> {
    let certificate = AnyRef::decode(&mut SliceReader::new(certificate)?)?;
    let signed = AnyRef::decode(&mut SliceReader::new(certificate.value())?)?;
    let mut fields = SliceReader::new(signed.value())?;
    // version, where there is one, and serialNumber
    if matches!(Tag::peek(&fields)?, Tag::ContextSpecific { .. }) {
        AnyRef::decode(&mut fields)?;
    }
    AnyRef::decode(&mut fields)?;
    // signature, issuer
    AnyRef::decode(&mut fields)?;
    AnyRef::decode(&mut fields)?;
    let validity = AnyRef::decode(&mut fields)?;
    let mut times = SliceReader::new(validity.value())?;
    AnyRef::decode(&mut times)?;
    let not_after = AnyRef::decode(&mut times)?;
    let since_epoch = if not_after.tag() == Tag::UtcTime {
        not_after.decode_as::<UtcTime>()?.to_unix_duration()
    } else {
        not_after.decode_as::<GeneralizedTime>()?.to_unix_duration()
    };
    let seconds = i64::try_from(since_epoch.as_secs()).map_err(|_| ErrorKind::DateTime)?;
    Ok(Timestamp::from_second(seconds).map_err(|_| ErrorKind::DateTime)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(not_after: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(not_after.0, not_after.1, not_after.2);
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn reads_both_forms_of_time() {
        let read = |date| not_after(&issued(date)).unwrap().to_string();
        assert_eq!(read((2049, 12, 31)), "2049-12-31T00:00:00Z");
        assert_eq!(read((2050, 1, 1)), "2050-01-01T00:00:00Z");
    }

    #[test]
    fn refuses_what_breaks_off_anywhere() {
        let certificate = issued((2049, 12, 31));
        for end in 0..200 {
            assert!(not_after(&certificate[..end]).is_err(), "{end}");
        }
    }
}
