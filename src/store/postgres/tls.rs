use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    connect_error::{PostgresError, PostgresErrorKind},
    settings::PostgresSettings,
};

/// TLS that trusts the given authorities, or those of the operating system, and checks the server's name.
pub(super) fn transport(settings: &PostgresSettings) -> Result<MakeRustlsConnect, PostgresError> {
    let mut roots = RootCertStore::empty();
    match &settings.root_certificates {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(malformed)?;
                roots.add(certificate).map_err(malformed)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(PostgresError::new(
            PostgresErrorKind::Settings,
            "no trusted root certificate was found: set one with `PostgresSettings::with_root_certificates`",
        ));
    }
    // Set explicitly: a process with two providers linked in has no default.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(PostgresError::unavailable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PostgresError {
    let what = "a root certificate cannot be read: give it as PEM text";
    PostgresError::caused(PostgresErrorKind::Settings, what, error)
}
