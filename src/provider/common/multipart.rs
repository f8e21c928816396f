//! Writes `multipart/form-data`: text fields and files, with a boundary that occurs in none of them.
//!
//! It writes only; clients' forms are read by `multer` where requests come in.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Method};
use memchr::memmem;
use url::Url;

use crate::provider::adapter::Call;
use crate::provider::common::headers;
use crate::request::Input;

/// The fields of a form, in order.
#[derive(Default)]
pub struct MultipartForm(Vec<Field>);

struct Field {
    /// Everything between the field's boundary and its value.
    head: String,
    value: Bytes,
}

impl MultipartForm {
    /// A form of text fields.
    pub fn of(fields: impl IntoIterator<Item = (String, String)>) -> MultipartForm {
        fields.into_iter().fold(MultipartForm::default(), |form, (name, value)| form.text(&name, value))
    }

    /// One more text field.
    pub fn text(mut self, name: &str, value: impl Into<String>) -> MultipartForm {
        let head = format!("content-disposition: form-data; name=\"{}\"\r\n\r\n", escaped(name));
        self.0.push(Field { head, value: Bytes::from(value.into()) });
        self
    }

    /// One more file, called `stem` with the ending of its format.
    pub fn picture(self, name: &str, stem: &str, picture: &Input) -> MultipartForm {
        let format = picture.format;
        let file = format!("{stem}.{}", format.as_str());
        self.file(name, &file, format.media_type(), picture.bytes.clone())
    }

    /// One more file.
    pub fn file(mut self, name: &str, file: &str, media_type: &str, bytes: Bytes) -> MultipartForm {
        let (name, file) = (escaped(name), escaped(file));
        let head = format!(
            "content-disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\ncontent-type: {media_type}\r\n\r\n"
        );
        self.0.push(Field { head, value: bytes });
        self
    }

    /// The form as a POST.
    pub fn post(self, url: Url, mut headers: HeaderMap) -> Call {
        let boundary = self.boundary();
        let mut body = BytesMut::new();
        for Field { head, value } in &self.0 {
            body.put_slice(format!("--{boundary}\r\n{head}").as_bytes());
            body.put_slice(value);
            body.put_slice(b"\r\n");
        }
        body.put_slice(format!("--{boundary}--\r\n").as_bytes());
        headers::add_header(&mut headers, "content-type", &format!("multipart/form-data; boundary={boundary}"));
        Call { method: Method::POST, url, headers, body: body.freeze() }
    }

    /// The first of a row of boundaries that occurs nowhere. A name is looked at too: only its quotes and line breaks
    /// are escaped.
    fn boundary(&self) -> String {
        let mut number = 0u64;
        loop {
            let boundary = format!("easel-form-{number}");
            let finder = memmem::Finder::new(&boundary);
            let occurs = |bytes: &[u8]| finder.find(bytes).is_some();
            if !self.0.iter().any(|field| occurs(field.head.as_bytes()) || occurs(&field.value)) {
                return boundary;
            }
            number += 1;
        }
    }
}

/// The three escapes that browsers use in names (WHATWG form-data encoding).
fn escaped(name: &str) -> String {
    name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_keeps_fields_apart_whatever_they_hold() {
        let nasty = "--easel-form-0\r\ncontent-disposition: form-data; name=\"x\"\r\n\r\nsmuggled";
        let form =
            MultipartForm::of([("prompt".to_owned(), nasty.to_owned()), ("a\"b\r\n".to_owned(), "1".to_owned())]);
        let form = form.file("image", "a\".png", "image/png", Bytes::from_static(b"\x89PNG\r\n"));
        let call = form.post("https://host/".parse().unwrap(), HeaderMap::new());
        assert_eq!(call.headers["content-type"], "multipart/form-data; boundary=easel-form-1");
        let body = String::from_utf8_lossy(&call.body);
        let parts: Vec<&str> = body.split("--easel-form-1").collect();
        assert_eq!(parts.len(), 5, "three fields, nothing before, the end after");
        assert_eq!(parts[1], format!("\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\n{nasty}\r\n"));
        assert!(parts[2].contains("name=\"a%22b%0D%0A\""));
        assert!(parts[3].starts_with(
            "\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a%22.png\"\r\ncontent-type: image/png\r\n\r\n"
        ));
    }
}
