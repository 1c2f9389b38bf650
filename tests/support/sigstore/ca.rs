//! A certificate authority in the shape of Fulcio: a root, an intermediate where wanted, and certificates that live ten minutes.
//!
//! In come an identity, a key and a time; out comes the signer's certificate with the chain above it. What Fulcio writes into which
//! extension is in its `docs/oid-info.md`; the profile is in its `docs/certificate-specification.md`.

use jiff::{SignedDuration, Timestamp};
use x509_cert::der::asn1::{Any, Ia5String, ObjectIdentifier, OctetString, Utf8StringRef};
use x509_cert::der::flagset::FlagSet;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};

use super::certificate::{Draft, Window, extension, raw_extension};
use super::ct::CtLog;
use super::key::{Algorithm, Key};
use super::lies::Lie;
use super::{FOUNDED, LASTS, time};

/// The arc of Fulcio's extensions.
const FULCIO: &str = "1.3.6.1.4.1.57264.1";
pub(crate) const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub(crate) const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";

/// Who a certificate is for.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) san: San,
    /// The issuer in both of Fulcio's extensions.
    pub(crate) issuer: String,
    /// More of Fulcio's extensions: the last number of the arc, and the text. Up to 7 they are bare text, from 8 on DER.
    pub(crate) claims: Vec<(u32, String)>,
}

/// The name in the certificate.
#[derive(Clone, Debug)]
pub(crate) enum San {
    Email(String),
    Uri(String),
    /// What Fulcio writes for user names (`1.3.6.1.4.1.57264.1.7`).
    OtherName(String),
    Dns(String),
}

/// One authority of a chain.
pub(crate) struct Authority {
    pub(crate) name: String,
    pub(crate) key: Key,
    pub(crate) certificate: Vec<u8>,
}

pub(crate) struct CertificateAuthority {
    pub(crate) root: Authority,
    pub(crate) intermediate: Option<Authority>,
    /// Another authority of the same names.
    impostor: Key,
}

/// A certificate, and those above it, the root last.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) certificate: Vec<u8>,
    pub(crate) chain: Vec<Vec<u8>>,
    /// The kind of the signer's key.
    pub(crate) key_details: &'static str,
}

// === impl Identity ===

impl Identity {
    pub(crate) fn email(address: &str, issuer: &str) -> Self {
        Self::of(San::Email(address.to_owned()), issuer)
    }

    pub(crate) fn uri(uri: &str, issuer: &str) -> Self {
        Self::of(San::Uri(uri.to_owned()), issuer)
    }

    pub(crate) fn of(san: San, issuer: &str) -> Self {
        Self {
            san,
            issuer: issuer.to_owned(),
            claims: Vec::new(),
        }
    }

    /// A workflow of GitHub Actions, with every claim that Fulcio copies.
    pub(crate) fn workflow(repository: &str, workflow: &str, reference: &str) -> Self {
        let home = format!("https://github.com/{repository}");
        let build = format!("{home}/.github/workflows/{workflow}@{reference}");
        let commit = "5f1c9f3e1a0b4b1a9a0f7e3c2d1b0a9f8e7d6c5b";
        let owner = home.rsplit_once('/').unwrap().0.to_owned();
        let claim = |number, text: &str| (number, text.to_owned());
        Self {
            claims: vec![
                claim(2, "push"),
                claim(3, commit),
                claim(4, "Release"),
                claim(5, repository),
                claim(6, reference),
                claim(9, &build),
                claim(10, commit),
                claim(11, "github-hosted"),
                claim(12, &home),
                claim(13, commit),
                claim(14, reference),
                claim(15, "4711"),
                claim(16, &owner),
                claim(17, "42"),
                claim(18, &build),
                claim(19, commit),
                claim(20, "push"),
                claim(21, &format!("{home}/actions/runs/1/attempts/1")),
                claim(22, "public"),
            ],
            ..Self::uri(&build, "https://token.actions.githubusercontent.com")
        }
    }

    fn extensions(&self) -> Vec<Extension> {
        let bare = |number: u32, text: &str| {
            raw_extension(
                &format!("{FULCIO}.{number}"),
                false,
                text.as_bytes().to_vec(),
            )
        };
        let encoded = |number: u32, text: &str| {
            let text = Utf8StringRef::new(text).unwrap();
            extension(&format!("{FULCIO}.{number}"), false, &text)
        };
        let claims = self.claims.iter().map(|(number, text)| match number {
            0..=7 => bare(*number, text),
            _ => encoded(*number, text),
        });
        let mut extensions = vec![self.san.extension(), bare(1, &self.issuer)];
        extensions.extend(claims);
        extensions.push(encoded(8, &self.issuer));
        extensions
    }
}

// === impl San ===

impl San {
    fn extension(&self) -> Extension {
        let ia5 = |text: &str| Ia5String::new(text).unwrap();
        let name = match self {
            Self::Email(text) => GeneralName::Rfc822Name(ia5(text)),
            Self::Uri(text) => GeneralName::UniformResourceIdentifier(ia5(text)),
            Self::Dns(text) => GeneralName::DnsName(ia5(text)),
            Self::OtherName(text) => GeneralName::OtherName(OtherName {
                type_id: ObjectIdentifier::new_unwrap(&format!("{FULCIO}.7")),
                value: Any::encode_from(&Utf8StringRef::new(text).unwrap()).unwrap(),
            }),
        };
        extension("2.5.29.17", true, &SubjectAltName(vec![name]))
    }
}

// === impl Authority ===

impl Authority {
    /// An authority that vouches for itself.
    pub(crate) fn root(name: &str, algorithm: Algorithm) -> Self {
        let key = Key::generate(algorithm);
        let draft = authority(
            name,
            &key,
            Window {
                from: time(FOUNDED),
                until: time(LASTS),
            },
        );
        Self {
            certificate: draft.issued_by(name, &key).signed(&key),
            name: name.to_owned(),
            key,
        }
    }

    /// An authority below this one.
    pub(crate) fn intermediate(&self, name: &str, algorithm: Algorithm, window: Window) -> Self {
        let key = Key::generate(algorithm);
        let usage = ExtendedKeyUsage(vec![ObjectIdentifier::new_unwrap(CODE_SIGNING)]);
        let draft = authority(name, &key, window).with(extension("2.5.29.37", false, &usage));
        Self {
            certificate: draft.issued_by(&self.name, &self.key).signed(&self.key),
            name: name.to_owned(),
            key,
        }
    }
}

// === impl CertificateAuthority ===

impl CertificateAuthority {
    pub(crate) fn new(algorithm: Algorithm, intermediate: Option<Window>) -> Self {
        let root = Authority::root("CN=fulcio-root,O=sigstore.test", algorithm);
        let below =
            |window| root.intermediate("CN=fulcio-intermediate,O=sigstore.test", algorithm, window);
        Self {
            intermediate: intermediate.map(below),
            root,
            impostor: Key::generate(algorithm),
        }
    }

    /// The authority that signs certificates.
    pub(crate) fn issuing(&self) -> &Authority {
        self.intermediate.as_ref().unwrap_or(&self.root)
    }

    /// The certificates of the authorities, the one that signs first.
    pub(crate) fn chain(&self) -> Vec<Vec<u8>> {
        let intermediate = self.intermediate.iter();
        intermediate
            .chain([&self.root])
            .map(|authority| authority.certificate.clone())
            .collect()
    }

    /// A certificate for `identity` and `key`, from `at` on for ten minutes.
    pub(crate) fn issue(
        &self,
        identity: &Identity,
        key: &Key,
        at: Timestamp,
        ct: &CtLog,
        lie: Option<Lie>,
    ) -> Issued {
        let another;
        let key = match lie {
            Some(Lie::CertificateOfAnotherKey) => {
                another = Key::generate(Algorithm::P256);
                &another
            }
            _ => key,
        };
        let usage = match lie {
            Some(Lie::CertificateForStampsOnly) => TIME_STAMPING,
            _ => CODE_SIGNING,
        };
        let until = at + SignedDuration::from_mins(10);
        let issuing = self.issuing();
        let mut draft = Draft::new("", key, Window { from: at, until })
            .issued_by(&issuing.name, &issuing.key)
            .with(key_usage(KeyUsages::DigitalSignature.into()))
            .with(extension(
                "2.5.29.37",
                false,
                &ExtendedKeyUsage(vec![ObjectIdentifier::new_unwrap(usage)]),
            ))
            .with(key_identifier(key));
        for extension in identity.extensions() {
            draft = draft.with(extension);
        }
        if let Some(promise) = ct.promise(&draft, &issuing.key, at, lie) {
            draft = draft.with(promise);
        }
        let signing = match lie {
            Some(Lie::CertificateByAnotherAuthority) => &self.impostor,
            _ => &issuing.key,
        };
        Issued {
            certificate: draft.signed(signing),
            chain: self.chain(),
            key_details: key.key_details(),
        }
    }
}

/// The certificate of an authority, yet without an issuer.
fn authority(name: &str, key: &Key, window: Window) -> Draft {
    let constraints = BasicConstraints {
        ca: true,
        path_len_constraint: None,
    };
    Draft::new(name, key, window)
        .with(extension("2.5.29.19", true, &constraints))
        .with(key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))
        .with(key_identifier(key))
}

pub(crate) fn key_usage(usages: FlagSet<KeyUsages>) -> Extension {
    extension("2.5.29.15", true, &KeyUsage(usages))
}

/// Any name will do that two keys do not share.
pub(crate) fn key_identifier(key: &Key) -> Extension {
    let identifier = OctetString::new(&key.id()[..20]).unwrap();
    extension("2.5.29.14", false, &SubjectKeyIdentifier(identifier))
}
