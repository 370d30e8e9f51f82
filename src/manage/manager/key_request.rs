//! The requests that pause, resume or revoke a key.

/// A request that names a key, with a reason and an expected version. A key id converts into one.
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
            /// Names the key.
            pub const fn of(id: $crate::key::KeyId) -> Self {
                Self { id, because: None, expected_version: None }
            }

            /// Gives a reason. The audit trail keeps it as the value after the change, and the
            /// [sink](crate::audit::EventSink) gets it. Control, text direction and other invisible characters are
            /// removed, keys and credentials of other services are [redacted](crate::key::redact), and anything after
            /// 200 characters is cut off. Default: no reason.
            pub fn because(mut self, reason: impl AsRef<str>) -> Self {
                self.because = $crate::manage::reason::cleaned(reason.as_ref());
                self
            }

            /// Makes the change only if this is the [version](crate::manage::KeyInfo::version) of the key: what an
            /// `If-Match` asks for. Default: any version.
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
