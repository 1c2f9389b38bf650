//! The whole of it over real TLS.
