//! Reads the pairs of a query as a type: a parameter that is a list collects its repeats, any other is given once.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::{de, forward_to_deserialize_any};

/// What is given for one parameter, in order; at least one value.
#[derive(Clone)]
pub(super) struct Given(Vec<String>);

/// The parameters of a query with what is given for each, in the order of their first mention.
pub(super) fn parameters(pairs: Vec<(String, String)>) -> MapDeserializer<'static, impl Iterator<Item = Pair>, Error> {
    let mut parameters: Vec<Pair> = Vec::new();
    for (name, value) in pairs {
        match parameters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, given)) => given.0.push(value),
            None => parameters.push((name, Given(vec![value]))),
        }
    }
    MapDeserializer::new(parameters.into_iter())
}

type Pair = (String, Given);

impl Given {
    fn once(self) -> Result<String, Error> {
        match <[String; 1]>::try_from(self.0) {
            Ok([value]) => Ok(value),
            Err(_) => Err(de::Error::custom("is given twice")),
        }
    }

    fn read<T: FromStr>(self, kind: impl Display) -> Result<T, Error> {
        let refusal = |_| de::Error::custom(format_args!("must be {kind}"));
        self.once()?.parse().map_err(refusal)
    }
}

impl IntoDeserializer<'_, Error> for Given {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.read::<$type>(format_args!("a whole number, {} to {}", <$type>::MIN, <$type>::MAX))?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Given {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.once()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let values = self.0.into_iter().map(|value| Self(vec![value]));
        visitor.visit_seq(SeqDeserializer::new(values))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.read("true or false")?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.read("a number")?)
    }

    whole_numbers! {
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i64 visit_i64 i64,
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct
        enum identifier ignored_any
    }
}
