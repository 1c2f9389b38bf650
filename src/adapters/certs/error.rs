//! Why there is no certificate.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any certificate or key.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound, in bytes.
        limit: u64,
    },
    /// A file holds no PEM of the wanted kind.
    #[error("{path} holds no {wanted} in PEM")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What the parser says.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The file of certificates is empty.
    #[error("there is no certificate")]
    NoCertificate,
    /// The certificate is not X.509.
    #[error("the certificate cannot be read")]
    Unreadable {
        /// What the parser says.
        #[source]
        source: spki::der::Error,
    },
    /// The certificate has expired.
    #[error("the certificate expired at {not_after}, and it is {now}")]
    Expired {
        /// When it expired.
        not_after: Timestamp,
        /// When it was looked at.
        now: Timestamp,
    },
    /// The key cannot be used, or belongs to another certificate.
    #[error("the key does not belong to the certificate, or cannot be used")]
    Mismatch {
        /// What the library says.
        #[source]
        source: rustls::Error,
    },
    /// A certificate can be no authority of clients.
    #[error("a certificate in {path} cannot be an authority of clients")]
    NotAnAuthority {
        /// The file.
        path: PathBuf,
        /// What the library says.
        #[source]
        source: rustls::Error,
    },
    /// A file of authorities holds none.
    #[error("{path} holds no authority of clients")]
    NoAuthorities {
        /// The file.
        path: PathBuf,
        /// What the library says.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
    /// No certificate can be made for these names.
    #[error("cannot issue a certificate for {names:?}")]
    Issue {
        /// The names.
        names: Vec<String>,
        /// What the library says.
        #[source]
        source: rcgen::Error,
    },
    /// No authority can be made, or its key or another one cannot be read.
    #[error("the private key of an authority or a certificate cannot be made or read")]
    Authority {
        /// What the library says.
        #[source]
        source: rcgen::Error,
    },
    /// The key is another authority's.
    #[error("the key does not belong to the certificate of the authority")]
    AuthorityKey,
    /// The certificate is not one of the authority.
    #[error("the certificate is not one that its authority issued")]
    Chain {
        /// What the library says.
        #[source]
        source: webpki::Error,
    },
    /// The names of a certificate cannot be read.
    #[error("the names of the certificate cannot be read")]
    Names,
    /// A certificate cannot be written as PEM.
    #[error("a certificate cannot be written as PEM")]
    Encoding {
        /// What the library says.
        #[source]
        source: spki::der::pem::Error,
    },
    /// The certificate of the authority cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}
