//! A JSON body, read without building what it describes.
//!
//! A tree of 48 MB of JSON takes forty times as much memory. No field of a request but the pictures of an edit holds a
//! list or an object, so those are read past, and only their kind is remembered. A name that no field has ends the
//! reading, and nothing behind it is looked at. Texts without escapes stay where they are in the body.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::error::{Error, ErrorKind};

/// What RFC 8259 section 8.1 lets a reader ignore before the text: some editors write it before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// `null`, which means absent.
    Null,
    /// A flag.
    Bool(bool),
    /// A number of any kind.
    Number(Number),
    /// A text.
    Text(Cow<'a, str>),
    /// A list; what is in it was not kept.
    List,
    /// An object; what is in it was not kept.
    Object,
}

impl FieldValue<'_> {
    /// Whether it stands for nothing: `null`, or a text of nothing.
    pub fn is_absent(&self) -> bool {
        match self {
            FieldValue::Null => true,
            FieldValue::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// What it is, as an error says it.
    pub fn kind(&self) -> &'static str {
        match self {
            FieldValue::Null => "null",
            FieldValue::Bool(_) => "a boolean",
            FieldValue::Number(_) => "a number",
            FieldValue::Text(_) => "a string",
            FieldValue::List => "an array",
            FieldValue::Object => "an object",
        }
    }
}

/// What stands where a picture is referred to.
#[derive(Debug, PartialEq)]
pub enum Reference<'a> {
    /// An object. `null` and a text of nothing in it mean absent.
    Object {
        /// Its `image_url`.
        image_url: Option<FieldValue<'a>>,
        /// Whether it has a `file_id`.
        file_id: bool,
        /// Whether it has anything else.
        other: bool,
    },
    /// Something else.
    Not(FieldValue<'a>),
}

impl Reference<'_> {
    /// Whether it refers to nothing.
    pub fn is_absent(&self) -> bool {
        match self {
            Reference::Object { image_url, file_id, other } => image_url.is_none() && !file_id && !other,
            Reference::Not(given) => given.is_absent(),
        }
    }
}

/// What stands in `images`.
#[derive(Debug, PartialEq)]
pub enum References<'a> {
    /// The first of them, as many as were to be kept at most, and how many there are.
    List(Vec<Reference<'a>>, usize),
    /// Something else.
    Not(FieldValue<'a>),
}

/// A body's fields by name; of one that is there twice the last counts.
#[derive(Debug, Default)]
pub struct JsonBody<'a> {
    /// Fields of one value.
    pub fields: BTreeMap<Cow<'a, str>, FieldValue<'a>>,
    /// `images`, where it may hold pictures.
    pub images: Option<References<'a>>,
    /// `mask`, where it may hold a picture.
    pub mask: Option<Reference<'a>>,
}

/// What a body may hold.
#[derive(Clone, Copy)]
pub struct BodySchema {
    /// The names of fields with one value.
    pub known: &'static [&'static str],
    /// How many pictures of `images` are kept, and a mask; `None` where there are no such fields.
    pub pictures: Option<usize>,
    /// The least that can be sent, for who sent something else.
    pub example: &'static str,
}

/// Why a body is not read.
pub enum Unread {
    /// It is no JSON object; the 400 for it.
    Broken(Error),
    /// It has a field that there is not.
    Unknown(String),
}

/// Reads `body`.
pub fn read(body: &[u8], shape: BodySchema) -> Result<JsonBody<'_>, Unread> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let broken = |message| Unread::Broken(Error::new(ErrorKind::InvalidRequest, message).with_code("invalid_json"));
    let not_json = |error: serde_json::Error| broken(format!("The body is not valid JSON: {error}."));
    if !body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<IgnoredAny>(body).map_err(not_json)?;
        return Err(broken(format!("The body must be a JSON object like {}.", shape.example)));
    }
    let mut unknown_field = None;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = BodyVisitor { shape, unknown_field: &mut unknown_field }.deserialize(&mut reader);
    match (read, unknown_field) {
        (_, Some(unknown_field)) => Err(Unread::Unknown(unknown_field)),
        (Err(error), None) => Err(not_json(error)),
        (Ok(read), None) => reader.end().map(|()| read).map_err(not_json),
    }
}

/// Reads the body's object.
struct BodyVisitor<'s> {
    shape: BodySchema,
    unknown_field: &'s mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for BodyVisitor<'_> {
    type Value = JsonBody<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<JsonBody<'de>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BodyVisitor<'_> {
    type Value = JsonBody<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonBody<'de>, A::Error> {
        let mut body = JsonBody::default();
        while let Some(FieldValue::Text(name)) = map.next_key()? {
            match (&*name, self.shape.pictures) {
                ("images", Some(most)) => body.images = Some(map.next_value_seed(ImagesVisitor { most })?),
                ("mask", Some(_)) => body.mask = Some(map.next_value()?),
                (known, _) if self.shape.known.contains(&known) => {
                    let value = map.next_value()?;
                    body.fields.insert(name, value);
                }
                (unknown_field, _) => {
                    *self.unknown_field = Some(unknown_field.to_owned());
                    return Err(A::Error::custom("unknown field"));
                }
            }
        }
        Ok(body)
    }
}

impl<'de> Deserialize<'de> for FieldValue<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<FieldValue<'de>, D::Error> {
        from.deserialize_any(AnyFieldValue)
    }
}

struct AnyFieldValue;

impl<'de> Visitor<'de> for AnyFieldValue {
    type Value = FieldValue<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<FieldValue<'de>, E> {
        Ok(FieldValue::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<FieldValue<'de>, E> {
        Ok(FieldValue::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<FieldValue<'de>, E> {
        Ok(FieldValue::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<FieldValue<'de>, E> {
        Ok(FieldValue::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<FieldValue<'de>, E> {
        // JSON has no number that is none.
        Ok(Number::from_f64(number).map_or(FieldValue::Null, FieldValue::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<FieldValue<'de>, E> {
        Ok(FieldValue::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<FieldValue<'de>, E> {
        Ok(FieldValue::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FieldValue<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(FieldValue::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<FieldValue<'de>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(FieldValue::Object)
    }
}

/// Hands everything but the named kinds of value to [`AnyFieldValue`].
macro_rules! others {
    ($wrap:path) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            AnyFieldValue.expecting(f)
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            AnyFieldValue.visit_unit().map($wrap)
        }

        fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Self::Value, E> {
            AnyFieldValue.visit_bool(flag).map($wrap)
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
            AnyFieldValue.visit_u64(number).map($wrap)
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
            AnyFieldValue.visit_i64(number).map($wrap)
        }

        fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
            AnyFieldValue.visit_f64(number).map($wrap)
        }

        fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
            AnyFieldValue.visit_borrowed_str(text).map($wrap)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            AnyFieldValue.visit_str(text).map($wrap)
        }
    };
}

impl<'de> Deserialize<'de> for Reference<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Reference<'de>, D::Error> {
        from.deserialize_any(AnyReference)
    }
}

struct AnyReference;

impl<'de> Visitor<'de> for AnyReference {
    type Value = Reference<'de>;

    others!(Reference::Not);

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Reference<'de>, A::Error> {
        AnyFieldValue.visit_seq(list).map(Reference::Not)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Reference<'de>, A::Error> {
        let (mut image_url, mut file_id, mut other) = (None, false, false);
        while let Some(FieldValue::Text(name)) = object.next_key()? {
            let value: FieldValue<'de> = object.next_value()?;
            match &*name {
                "image_url" => image_url = Some(value).filter(|value| !value.is_absent()),
                "file_id" => file_id = !value.is_absent(),
                _ => other |= !value.is_absent(),
            }
        }
        Ok(Reference::Object { image_url, file_id, other })
    }
}

/// Reads `images`.
struct ImagesVisitor {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for ImagesVisitor {
    type Value = References<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<References<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ImagesVisitor {
    type Value = References<'de>;

    others!(References::Not);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<References<'de>, A::Error> {
        let mut pictures = Vec::new();
        while pictures.len() < self.most {
            match list.next_element()? {
                Some(picture) => pictures.push(picture),
                None => break,
            }
        }
        let mut count = pictures.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(References::List(pictures, count))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<References<'de>, A::Error> {
        AnyFieldValue.visit_map(object).map(References::Not)
    }
}

#[cfg(test)]
mod tests;
