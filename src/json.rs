//! The JSON form of answers that have more than their fields.

/// Declares the JSON of a type beside its fields: computed values are included, and the schema has the same members.
/// The pattern names every field, so that a new one cannot be forgotten.
///
/// ```text
/// json_form! {
///     KeyMatches<'a>, |matches| KeyMatches { keys, more, unreadable } => {
///         keys: &'a [KeyMatch] = keys,
///         more: bool = *more,
///         unreadable: u64 = *unreadable,
///         sentences: Vec<Sentence> = matches.sentences(),
///     }
/// }
/// ```
macro_rules! json_form {
    (
        $type:ident $(<$lifetime:lifetime>)?, |$this:ident| $pattern:pat => {
            $( $(#[$meta:meta])* $field:ident: $of:ty = $value:expr, )+
        }
    ) => {
        const _: () = {
            #[derive(::serde::Serialize)]
            #[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]
            struct Form $(<$lifetime>)? {
                $( $(#[$meta])* $field: $of, )+
            }

            impl ::serde::Serialize for $type {
                fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let $this = self;
                    let $pattern = $this;
                    ::serde::Serialize::serialize(&Form { $($field: $value),+ }, serializer)
                }
            }

            #[cfg(feature = "schemars")]
            impl ::schemars::JsonSchema for $type {
                fn schema_name() -> ::std::borrow::Cow<'static, str> {
                    stringify!($type).into()
                }

                fn json_schema(generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                    <Form as ::schemars::JsonSchema>::json_schema(generator)
                }
            }
        };
    };
}

pub(crate) use json_form;
