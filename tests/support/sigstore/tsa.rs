//! A time stamping authority (RFC 3161): a root, and a certificate that may stamp.
//!
//! In come a signature and a time; out comes a `TimeStampResp`, whose token is a CMS `SignedData` (RFC 5652).

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{Any, GeneralizedTime, ObjectIdentifier, OctetString, SetOfVec, Uint};
use der::{Decode as _, Encode as _, Sequence};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsages};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::ca::{Authority, TIME_STAMPING, key_identifier, key_usage};
use super::certificate::{Draft, Window, extension};
use super::key::{Algorithm, Key};
use super::lies::Lie;

const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// Any policy: nobody asks for one.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");

pub(crate) struct TimestampAuthority {
    root: Authority,
    stamping: Authority,
    impostor: Authority,
    embeds_certificate: bool,
}

#[derive(Sequence)]
struct TimeStampResp {
    status: PkiStatusInfo,
    token: ContentInfo,
}

#[derive(Sequence)]
struct PkiStatusInfo {
    status: u8,
}

#[derive(Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    message_imprint: MessageImprint,
    serial_number: Uint,
    gen_time: GeneralizedTime,
}

#[derive(Sequence)]
struct MessageImprint {
    hash_algorithm: AlgorithmIdentifierOwned,
    hashed_message: OctetString,
}

// === impl TimestampAuthority ===

impl TimestampAuthority {
    /// One whose certificate is good in this window.
    pub(crate) fn new(algorithm: Algorithm, window: Window, embeds_certificate: bool) -> Self {
        let root = Authority::root("CN=tsa-root,O=sigstore.test", algorithm);
        let unknown = Authority::root("CN=tsa-root,O=sigstore.test", algorithm);
        Self {
            stamping: stamping(&root, window),
            impostor: stamping(&unknown, window),
            root,
            embeds_certificate,
        }
    }

    /// The certificate that stamps, and the root.
    pub(crate) fn chain(&self) -> Vec<Vec<u8>> {
        [&self.stamping, &self.root]
            .map(|authority| authority.certificate.clone())
            .into()
    }

    /// A stamp that says that `signature` was there at `at`.
    pub(crate) fn stamp(&self, signature: &[u8], at: Timestamp, lie: Option<Lie>) -> Vec<u8> {
        let stamped = match lie {
            Some(Lie::StampOfAnotherSignature) => b"another signature",
            _ => signature,
        };
        let authority = match lie {
            Some(Lie::StampByAnotherAuthority) => &self.impostor,
            _ => &self.stamping,
        };
        let signed = info(stamped, at);
        let shown = match lie {
            Some(Lie::StampTimeChanged) => info(stamped, at + SignedDuration::from_secs(1)),
            _ => signed.clone(),
        };
        let status = match lie {
            Some(Lie::StampRefused) => 2,
            _ => 0,
        };
        let embeds = self.embeds_certificate || lie == Some(Lie::StampByAnotherAuthority);
        let token = ContentInfo {
            content_type: SIGNED_DATA,
            content: Any::encode_from(&signed_data(authority, &signed, &shown, embeds)).unwrap(),
        };
        let response = TimeStampResp {
            status: PkiStatusInfo { status },
            token,
        };
        response.to_der().unwrap()
    }
}

/// A certificate that may stamp, and nothing else.
fn stamping(root: &Authority, window: Window) -> Authority {
    let name = "CN=tsa,O=sigstore.test";
    let key = Key::generate(Algorithm::P256);
    let usage = ExtendedKeyUsage(vec![ObjectIdentifier::new_unwrap(TIME_STAMPING)]);
    let draft = Draft::new(name, &key, window)
        .with(key_usage(KeyUsages::DigitalSignature.into()))
        .with(extension("2.5.29.37", true, &usage))
        .with(key_identifier(&key));
    Authority {
        certificate: draft.issued_by(&root.name, &root.key).signed(&root.key),
        name: name.to_owned(),
        key,
    }
}

fn info(stamped: &[u8], at: Timestamp) -> Vec<u8> {
    let since = std::time::Duration::from_secs(u64::try_from(at.as_second()).unwrap());
    let info = TstInfo {
        version: 1,
        policy: POLICY,
        message_imprint: MessageImprint {
            hash_algorithm: algorithm(SHA_256),
            hashed_message: OctetString::new(Sha256::digest(stamped).as_slice()).unwrap(),
        },
        serial_number: Uint::new(&at.as_second().to_be_bytes()).unwrap(),
        gen_time: GeneralizedTime::from_unix_duration(since).unwrap(),
    };
    info.to_der().unwrap()
}

/// `signed` is what the signature is about, `shown` what is in the token.
fn signed_data(authority: &Authority, signed: &[u8], shown: &[u8], embeds: bool) -> SignedData {
    let certificate = Certificate::from_der(&authority.certificate).unwrap();
    let digest = OctetString::new(Sha256::digest(signed).as_slice()).unwrap();
    let attributes = SetOfVec::try_from(vec![
        attribute(CONTENT_TYPE, Any::encode_from(&TST_INFO).unwrap()),
        attribute(MESSAGE_DIGEST, Any::encode_from(&digest).unwrap()),
    ])
    .unwrap();
    let signature = authority.key.sign(&attributes.to_der().unwrap());
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: certificate.tbs_certificate.issuer.clone(),
            serial_number: certificate.tbs_certificate.serial_number.clone(),
        }),
        digest_alg: algorithm(SHA_256),
        signed_attrs: Some(attributes),
        signature_algorithm: authority.key.certificate_algorithm(),
        signature: OctetString::new(signature).unwrap(),
        unsigned_attrs: None,
    };
    let embedded =
        embeds.then(|| CertificateSet(one(CertificateChoices::Certificate(certificate))));
    SignedData {
        version: CmsVersion::V3,
        digest_algorithms: one(algorithm(SHA_256)),
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: TST_INFO,
            econtent: Some(Any::encode_from(&OctetString::new(shown).unwrap()).unwrap()),
        },
        certificates: embedded,
        crls: None,
        signer_infos: SignerInfos(one(signer)),
    }
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Attribute {
    Attribute {
        oid,
        values: one(value),
    }
}

fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid,
        parameters: None,
    }
}

/// A set of one.
fn one<T: der::DerOrd>(item: T) -> SetOfVec<T> {
    SetOfVec::try_from(vec![item]).unwrap()
}
