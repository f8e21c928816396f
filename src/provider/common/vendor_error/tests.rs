//! Tests of provider/common/vendor_error.rs.

use super::*;

#[test]
fn every_shape_of_error_gives_up_its_words_its_field_and_its_sentence() {
    for (body, words, field, message) in [
        (r#"{"error":{"message":"m","type":"t","param":"size","code":"c"}}"#, "t c", Some("size"), "m"),
        (r#"{"error":"text"}"#, "", None, "text"),
        (r#"{"message":"text"}"#, "", None, "text"),
        (r#"{"code":20012,"msg":"text","data":null}"#, "20012", None, "text"),
        (r#"{"error":{"code":429,"message":"slow"}}"#, "429", None, "slow"),
        (r#"{"detail":"text"}"#, "", None, "text"),
        (
            r#"{"detail":[{"loc":["body","input",0,"size"],"msg":"bad","type":"value_error"}]}"#,
            "value_error",
            Some("input.size"),
            "bad",
        ),
        (
            r#"{"detail":"d","status":422,"title":"t","invalid_fields":[{"field":"input.prompt","description":"e"}]}"#,
            "",
            Some("input.prompt"),
            "d; t; e",
        ),
        (r#"{"id":"x","name":"bad_request","errors":["a: b","c: d"]}"#, "bad_request", None, "a: b; c: d"),
        (r#"{"error":{"code":"f","inner_error":{"code":"g"}}}"#, "f g", None, ""),
        (r#"[{"error":{"code":"f","message":"m"}}]"#, "f", None, "m"),
        (r#""Invalid token""#, "", None, "Invalid token"),
    ] {
        let vendor_error = VendorError::read(body.as_bytes());
        assert_eq!(vendor_error.words.join(" "), words, "{body}");
        assert_eq!((vendor_error.field.as_deref(), vendor_error.message.as_str()), (field, message), "{body}");
        assert!(vendor_error.structured, "{body}");
    }
}

#[test]
fn an_error_is_told_from_other_things_that_are_said() {
    for error in [
        r#"{"error":"out of memory"}"#,
        r#"{"error":{"message":"m"}}"#,
        r#"{"errors":["x"]}"#,
        r#"{"detail":"d"}"#,
        r#"{"code":20012,"message":"m"}"#,
        r#"{"code":"Throttling"}"#,
        r#"{"status":"error","message":"m"}"#,
        r#"{"success":false,"message":"m"}"#,
        r#"[{"error":{"code":500}}]"#,
    ] {
        let vendor_error = VendorError::read(error.as_bytes());
        assert!(vendor_error.error, "{error}");
        assert_eq!(vendor_error.class_by_status(200), Class::Server, "{error}");
        assert_eq!(vendor_error.class_by_status(302), Class::Malformed, "{error}");
    }
    for quiet in [
        "{}",
        r#"{"data":[]}"#,
        r#"{"message":"done"}"#,
        r#"{"code":0,"msg":"success","data":null}"#,
        r#"{"code":"200","data":[]}"#,
        r#"{"error":null,"errors":[],"detail":""}"#,
        r#"{"success":true,"status":"ok"}"#,
        "<html>504</html>",
    ] {
        let vendor_error = VendorError::read(quiet.as_bytes());
        assert!(!vendor_error.error, "{quiet}");
        assert_eq!(vendor_error.class_by_status(200), Class::Malformed, "{quiet}");
    }
}

#[test]
fn a_page_is_kept_as_text_and_known_to_be_no_json() {
    let page = VendorError::read(b"<html><h1>502 Bad Gateway</h1></html>");
    assert!(!page.structured && page.message.contains("Bad Gateway"));
    let endless = vec![b'['; BODY_BYTES + 1];
    assert!(!VendorError::read(&endless).structured);
}

#[test]
fn a_body_may_say_when_to_come_back_and_hide_a_status() {
    let vendor_error = VendorError::read(br#"{"error":{"code":503,"message":"busy"},"retry_after":5}"#);
    assert_eq!(vendor_error.retry_after, Some(Duration::from_secs(5)));
    assert_eq!(vendor_error.status_word(), Some(503));
}
