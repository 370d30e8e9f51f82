//! What the operator is told in the log, and the client is not. Without the feature `tracing`, nothing.

use std::error::Error;

use crate::auth::AuthError;

/// An error chain in one line.
#[cfg(feature = "tracing")]
struct Chain<'a>(&'a (dyn Error + 'static));

#[cfg(feature = "tracing")]
impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// The key could not be checked, which is the service's trouble and not the client's.
pub(crate) fn failed_check(error: &AuthError) {
    #[cfg(feature = "tracing")]
    if error.kind().is_temporary() {
        tracing::warn!(code = error.kind().code(), error = %Chain(error), "an API key could not be checked");
    }
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

pub(crate) fn failed_membership(error: &(dyn Error + Send + Sync + 'static)) {
    #[cfg(feature = "tracing")]
    tracing::warn!(error = %Chain(error), "a team's members could not be looked up");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// `what` needs a principal in the request, and no layer has looked for one.
pub(crate) fn no_layer(what: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::error!("{what} needs an ApiKeyLayer outside of it and there is none: answered with 500");
    #[cfg(not(feature = "tracing"))]
    let _ = what;
}
