//! What a call asks for that stops a key or lets it go on.

/// A request that names a key, and says why and in which version. An id is one, too.
macro_rules! key_request {
    ($(#[$meta:meta])* $name:ident, $must_use:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        #[must_use = $must_use]
        pub struct $name {
            id: $crate::key::KeyId,
            because: Option<String>,
            expected_version: Option<i64>,
        }

        impl $name {
            /// This key.
            pub const fn of(id: $crate::key::KeyId) -> Self {
                Self { id, because: None, expected_version: None }
            }

            /// Why: the audit trail says it, as the value after the change, and so is the [sink](crate::audit::EventSink) told.
            /// Control, text direction and other invisible characters are taken out, keys in it are
            /// [redacted](crate::key::redact) and so are credentials of other services, and what is longer than 200 characters is
            /// cut off. Default: nothing.
            pub fn because(mut self, reason: impl AsRef<str>) -> Self {
                self.because = $crate::manage::reason::cleaned(reason.as_ref());
                self
            }

            /// Only if this is the [version](crate::manage::KeyInfo::version) of the key: what an `If-Match` asks for. Default: whichever it
            /// has.
            pub const fn expecting(mut self, version: i64) -> Self {
                self.expected_version = Some(version);
                self
            }
        }

        impl From<$crate::key::KeyId> for $name {
            fn from(id: $crate::key::KeyId) -> Self {
                Self::of(id)
            }
        }

        impl From<&$crate::key::KeyId> for $name {
            fn from(id: &$crate::key::KeyId) -> Self {
                Self::of(*id)
            }
        }
    };
}

pub(super) use key_request;
