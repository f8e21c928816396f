//! A reply's JSON, read without copying its long strings.
//!
//! A picture in base64 is megabytes of one string; [`Json`] borrows it from the reply's body, so that it can be passed
//! on as a slice. Strings with escapes are copied, because they have to be. It holds no schema and judges nothing, and
//! it refuses bodies made of very many tiny values, whose tree would weigh a multiple of the body.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::provider::common::json::skip_long_strings::ElidedJson;

pub(in crate::provider) mod skip_long_strings;

/// Values one reply may hold; an image API's largest answer has a few hundred.
const MAX_VALUES: u32 = 65_536;

/// One JSON value whose strings lie in the reply's body wherever they can.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number. Never money, whose digits it may have lost: [`number_at`] has them as written.
    Number(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// A very long string, most likely a picture. Nobody has looked yet whether it is UTF-8.
    Long(&'a [u8]),
    /// An array.
    List(Vec<Json<'a>>),
    /// An object in the order written.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Reads a whole body. Errors for anything but exactly one JSON value, and for more than [`MAX_VALUES`] in it.
    pub fn read(body: &'a [u8]) -> Result<Json<'a>, serde_json::Error> {
        let (left, elided) = (Cell::new(MAX_VALUES), ElidedJson::of(body));
        let mut reader = serde_json::Deserializer::from_slice(elided.short());
        let json = Tree { left: &left, elided: &elided }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(json)
    }

    /// The member of this object by that name; `null` counts as absent.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        let Json::Object(members) = self else { return None };
        members.iter().find(|(name, _)| name == key).map(|(_, value)| value).filter(|value| **value != Json::Null)
    }

    /// The value at a path of member names with dots between; the empty path is this value itself.
    pub fn at(&self, path: &str) -> Option<&Json<'a>> {
        path.split('.').filter(|key| !key.is_empty()).try_fold(self, |value, key| value.get(key))
    }

    /// This string.
    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            Json::Long(bytes) => str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The bytes of this string, for who will look at them anyway.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Json::Text(text) => Some(text.as_bytes()),
            Json::Long(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The string member by that name.
    pub fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Json::text)
    }

    /// The bytes of the string member by that name.
    pub fn bytes_at(&self, key: &str) -> Option<&[u8]> {
        self.get(key).and_then(Json::bytes)
    }

    /// Whether this is an array with nothing in it.
    pub fn is_empty_list(&self) -> bool {
        matches!(self, Json::List(items) if items.is_empty())
    }

    /// The elements of this array; anything else is taken as an array of itself.
    pub fn items(&self) -> &[Json<'a>] {
        match self {
            Json::List(items) => items,
            Json::Null => &[],
            single => std::slice::from_ref(single),
        }
    }
}

/// The number at a path of member names with dots between, digit for digit as the body writes it. For bodies that
/// [`Json::read`] has found good.
pub fn number_at(body: &[u8], path: &str) -> Option<String> {
    // No number lies inside a string, so the short form has them all.
    let elided = ElidedJson::of(body);
    let mut value = str::from_utf8(elided.short()).ok()?;
    for key in path.split('.') {
        let mut members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(value).ok()?;
        value = members.remove(key)?.get();
    }
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then(|| value.to_owned())
}

/// Builds the tree and counts its values down.
#[derive(Clone, Copy)]
struct Tree<'t, 'a> {
    left: &'t Cell<u32>,
    elided: &'t ElidedJson<'a>,
}

impl<'a> Tree<'_, 'a> {
    /// The string of the body that was read as `text`.
    fn whole<E: Error>(self, text: &str) -> Result<Json<'a>, E> {
        let bytes = self.elided.whole(text).ok_or_else(|| E::custom("a string from nowhere"))?;
        if bytes.len() > text.len() {
            return Ok(Json::Long(bytes));
        }
        str::from_utf8(bytes).map(|text| Json::Text(Cow::Borrowed(text))).map_err(E::custom)
    }
}

impl<'t, 'a> DeserializeSeed<'t> for Tree<'t, 'a> {
    type Value = Json<'a>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Json<'a>, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'t, 'a> Visitor<'t> for Tree<'t, 'a> {
    type Value = Json<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'a>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json<'a>, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'a>, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'a>, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json<'a>, E> {
        Ok(Json::Number(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'t str) -> Result<Json<'a>, E> {
        self.whole(text)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'a>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<Json<'a>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Json<'a>, A::Error> {
        let mut members = Vec::new();
        while let Some(MemberName(name)) = map.next_key()? {
            let name = match name {
                Cow::Borrowed(name) => match self.whole(name)? {
                    Json::Text(name) => name,
                    _ => return Err(A::Error::custom("a name longer than any name")),
                },
                Cow::Owned(name) => Cow::Owned(name),
            };
            members.push((name, map.next_value_seed(self)?));
        }
        Ok(Json::Object(members))
    }
}

/// A member's name. Serde borrows a `Cow` only where a field says so, and a map's key has no place to say it.
#[derive(Deserialize)]
struct MemberName<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_string_is_borrowed_and_one_with_escapes_is_copied() {
        let body = br#"{"data":[{"b64_json":"QUJD"},{"b64_json":"\/9j\/"}]}"#;
        let json = Json::read(body).unwrap();
        let [plain, escaped] = json.at("data").unwrap().items() else { panic!("two items") };
        assert_eq!(plain.get("b64_json"), Some(&Json::Text(Cow::Borrowed("QUJD"))));
        let inside = |text: &str| body.as_ptr_range().contains(&text.as_ptr());
        assert!(plain.text_at("b64_json").is_some_and(inside));
        assert!(escaped.text_at("b64_json").is_some_and(|text| text == "/9j/" && !inside(text)));
    }

    #[test]
    fn a_very_long_string_is_borrowed_whole_and_is_text_only_if_it_is() {
        let picture = "QUJD".repeat(5_000);
        let mut body = format!(r#"{{"data":["{picture}","QUJD","{picture}"]}}"#).into_bytes();
        let last = body.len() - 10;
        body[last] = 0xff;
        let json = Json::read(&body).unwrap();
        let [long, short, broken] = json.get("data").unwrap().items() else { panic!("three items") };
        for (item, text) in [(long, &*picture), (short, "QUJD")] {
            assert_eq!((item.text(), item.bytes()), (Some(text), Some(text.as_bytes())));
            assert!(body.as_ptr_range().contains(&item.bytes().unwrap().as_ptr()));
        }
        assert_eq!((broken.text(), broken.bytes().map(<[u8]>::len)), (None, Some(picture.len())));
        assert!(Json::read(format!(r#"{{"{picture}":1}}"#).as_bytes()).is_err());
    }

    #[test]
    fn a_path_leads_down_and_null_counts_as_absent() {
        let json = Json::read(br#"{"output":{"results":["x"],"error":null}}"#).unwrap();
        assert_eq!(json.at("output.results").map(|list| list.items().len()), Some(1));
        assert_eq!(json.at("output.error"), None);
        assert_eq!(json.at("output.results.x"), None);
        assert_eq!(json.at(""), Some(&json));
    }

    #[test]
    fn a_number_keeps_the_digits_it_was_written_with() {
        let picture = "QUJD".repeat(5_000);
        for digits in ["0.0000012", "1e-7", "0.1", "0.30000000000000004", "12345678901234567890.5", "-0", "4E+2"] {
            let body = format!(r#"{{"data":[{{"b64_json":"{picture}"}}],"usage":{{"n":9,"c\u006fst": {digits} }}}}"#);
            assert!(Json::read(body.as_bytes()).is_ok());
            assert_eq!(number_at(body.as_bytes(), "usage.cost").as_deref(), Some(digits));
        }
        for body in [r#"{"usage":{"cost":"0.1"}}"#, r#"{"usage":{"cost":null}}"#, r#"{"usage":[0.1]}"#, "{}", "0.1"] {
            assert_eq!(number_at(body.as_bytes(), "usage.cost"), None, "{body}");
        }
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for body in ["", "<html>", "{\"a\":", "{} {}", "{\"a\":\"\\ud800\"}"] {
            assert!(Json::read(body.as_bytes()).is_err(), "{body:?}");
        }
        let crowd = format!("[{}0]", "0,".repeat(70_000));
        assert!(Json::read(crowd.as_bytes()).is_err());
        assert!(Json::read("[".repeat(10_000).as_bytes()).is_err());
    }
}
