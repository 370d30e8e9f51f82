//! What the crate tells the service's log, if the feature `tracing` is on. Never a secret: ids, codes and errors.

/// An event of `tracing` at the level that is named first; nothing without the feature.
macro_rules! log {
    ($level:ident, $($event:tt)+) => {
        #[cfg(feature = "tracing")]
        ::tracing::$level!($($event)+);
    };
}

pub(crate) use log;
