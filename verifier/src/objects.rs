//! Objects that are read from objects only: what serde derives would also read an array, as the fields in their order.

/// Implements `Serialize` and `Deserialize` of types whose derived ones are marked `#[serde(remote = "Self")]`, so that they are
/// read from maps only. What each is called stands in the error: `invalid type: sequence, expected a grader as an object`.
#[macro_export]
macro_rules! objects_only {
    ($($kind:ty: $name:literal),+ $(,)?) => {$(
        impl<'de> ::serde::Deserialize<'de> for $kind {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Object;

                impl<'de> ::serde::de::Visitor<'de> for Object {
                    type Value = $kind;

                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str(concat!($name, " as an object"))
                    }

                    fn visit_map<A: ::serde::de::MapAccess<'de>>(self, map: A) -> Result<$kind, A::Error> {
                        <$kind>::deserialize(::serde::de::value::MapAccessDeserializer::new(map))
                    }
                }

                from.deserialize_map(Object)
            }
        }

        impl ::serde::Serialize for $kind {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                <$kind>::serialize(self, to)
            }
        }
    )+};
}
