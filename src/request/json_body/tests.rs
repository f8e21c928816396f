//! Tests of request/json_body.rs.

use crate::request::json_body::*;

const SHAPE: BodySchema = BodySchema { known: &["prompt", "n"], pictures: Some(2), example: "{}" };

fn fields(body: &str) -> Result<JsonBody<'_>, String> {
    read(body.as_bytes(), SHAPE).map_err(|unread| match unread {
        Unread::Broken(error) => error.message,
        Unread::Unknown(name) => name,
    })
}

#[test]
fn lists_and_objects_are_read_past_and_known_by_kind() {
    for (value, kind) in [
        ("null", "null"),
        ("true", "a boolean"),
        ("-1.5e3", "a number"),
        ("\"a\\u0041\"", "a string"),
        ("[1, [2], {\"a\": []}]", "an array"),
        ("{\"a\": {\"$serde_json::private::RawValue\": \"1\"}}", "an object"),
        ("{\"$serde_json::private::RawValue\": \"1\"}", "an object"),
    ] {
        assert_eq!(fields(&format!("{{\"n\": {value}}}")).unwrap().fields["n"].kind(), kind, "{value}");
    }
}

#[test]
fn texts_without_escapes_are_not_copied_and_the_last_of_two_counts() {
    let body = fields("\u{feff}{\"prompt\": \"a\", \"prompt\": \"a fox\"}").unwrap();
    assert!(matches!(&body.fields["prompt"], FieldValue::Text(Cow::Borrowed("a fox"))));
}

#[test]
fn an_unknown_name_ends_the_reading_whatever_comes_after_it() {
    let names = ["images ", "$serde_json::private::RawValue", "$serde_json::private::Number", ""];
    for name in names {
        assert_eq!(fields(&format!("{{\"n\":1,\"{name}\":[[[[not JSON")).unwrap_err(), name);
    }
    let plain = BodySchema { pictures: None, ..SHAPE };
    assert!(matches!(read(b"{\"mask\":1}", plain), Err(Unread::Unknown(name)) if name == "mask"));
}

#[test]
fn as_many_pictures_are_kept_as_are_taken_and_the_others_counted() {
    let body = r#"{"images":[{"image_url":"data:,a","file_id":null,"x":null},7,{},[],"x"],"mask":{"file_id":"f"}}"#;
    let body = fields(body).unwrap();
    let Some(References::List(kept, count)) = body.images else { panic!("{:?}", body.images) };
    assert_eq!((kept.len(), count), (2, 5));
    let image_url = Some(FieldValue::Text(Cow::Borrowed("data:,a")));
    assert_eq!(kept[0], Reference::Object { image_url, file_id: false, other: false });
    assert_eq!(kept[1], Reference::Not(FieldValue::Number(7.into())));
    assert_eq!(body.mask, Some(Reference::Object { image_url: None, file_id: true, other: false }));
}

#[test]
fn what_is_cut_or_goes_on_behind_its_end_is_no_body() {
    for broken in
        ["{\"n\":1", "{\"n\":1}}", "{\"n\":1} x", "{\"n\":}", "{1:2}", "{\"images\":[1", "[1", "", "{\"n\":1e999}"]
    {
        assert!(fields(broken).unwrap_err().starts_with("The body is not valid JSON"), "{broken}");
    }
    assert_eq!(fields("[1]").unwrap_err(), "The body must be a JSON object like {}.");
    let deep = format!("{{\"n\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(fields(&deep).unwrap().fields["n"], FieldValue::List);
}
