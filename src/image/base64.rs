//! Base64 as servers and clients write it, and as it is kept: in the standard alphabet with its padding.
//!
//! RFC 4648 knows a URL-safe alphabet and leaves padding to whoever writes, MIME breaks lines, and a `data:` URL may
//! escape any of its characters. What is standard already is never copied.

use base64_simd::STANDARD;
use bytes::Bytes;
use memchr::memchr;

/// How far into a text the header of a `data:` URL may reach; real ones have some thirty characters.
const LONGEST_HEADER: usize = 512;
/// What ends the header of a `data:` URL whose text is base64.
const MARK: &[u8] = b";base64,";

/// The same in the standard alphabet with padding; `None` where it does not decode. Standard text is only checked.
pub fn standard(text: Bytes) -> Option<Bytes> {
    match STANDARD.check(&text) {
        Ok(()) => Some(text),
        Err(_) => decode_loosely(&text).map(|file| Bytes::from(STANDARD.encode_to_string(file).into_bytes())),
    }
}

/// The bytes that `text` stands for, whichever way it is written.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode_to_vec(text).ok().or_else(|| decode_loosely(text))
}

/// Reads either alphabet, white space anywhere, with or without padding, and `%2B` for `+`.
fn decode_loosely(text: &[u8]) -> Option<Vec<u8>> {
    let mut file = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut held, mut bits, mut padded) = (0_u32, 0_u32, false);
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => (hex(rest.next()?)? << 4) | hex(rest.next()?)?,
            byte => byte,
        };
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                padded = true;
                continue;
            }
            _ if byte.is_ascii_whitespace() => continue,
            _ => return None,
        };
        if padded {
            return None;
        }
        (held, bits) = ((held << 6) | u32::from(six), bits + 6);
        if bits >= 8 {
            bits -= 8;
            file.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    // Six bits that are left over are a character of which no byte can be made.
    (bits < 6).then_some(file)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Whether a text is a `data:` URL; schemes are written in any case.
pub fn is_data_url(text: &[u8]) -> bool {
    text.trim_ascii_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"data:"))
}

/// Strips the header of a `data:` URL, which some servers put before base64: `data:image/png;base64,`, in any case,
/// with parameters, without a media type, or without the word `base64`. Any other text is left as it is.
pub fn without_data_prefix(text: &[u8]) -> &[u8] {
    if !is_data_url(text) {
        return text;
    }
    let head = &text[..text.len().min(LONGEST_HEADER)];
    // A parameter may hold a comma of its own, so the word counts before the first comma does.
    let marked = head.windows(MARK.len()).position(|window| window.eq_ignore_ascii_case(MARK));
    match marked.map(|at| at + MARK.len()).or_else(|| memchr(b',', head).map(|at| at + 1)) {
        Some(end) => &text[end..],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_servers_write_it_and_kept_in_the_standard_form() {
        let file: Vec<u8> = (0..=255).chain([0xfb, 0xff]).cycle().take(301).collect();
        let text = STANDARD.encode_to_string(&file);
        assert!(text.contains('+') && text.contains('/') && text.ends_with('='), "each form differs from the standard");
        let url_safe = text.replace('+', "-").replace('/', "_");
        let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
        for written in [
            text.clone(),
            text.trim_end_matches('=').to_owned(),
            url_safe.clone(),
            url_safe.trim_end_matches('=').to_owned(),
            lines.join("\r\n"),
            format!(" {}\n", lines.join("\n\t")),
            text.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D"),
        ] {
            let kept = standard(Bytes::from(written.clone()));
            assert_eq!(kept.as_deref(), Some(text.as_bytes()), "{written}");
            assert_eq!(decode(written.as_bytes()).as_deref(), Some(&file[..]), "{written}");
        }
        assert_eq!(decode(b"QR==").as_deref(), Some(&b"A"[..]), "the bits behind the last byte are nobody's");
    }

    #[test]
    fn what_is_standard_is_not_copied_and_what_is_no_base64_is_none() {
        let text = Bytes::from_static(b"QUJD");
        assert_eq!(standard(text.clone()).map(|kept| kept.as_ptr()), Some(text.as_ptr()));
        for text in ["QUJDR", "<html>", "QUJ=D", "Q\u{e9}", "%4", "%zz", "QUJD\0"] {
            assert_eq!((standard(Bytes::from(text)), decode(text.as_bytes())), (None, None), "{text}");
        }
    }

    #[test]
    fn the_header_of_a_data_url_is_stripped_in_every_spelling() {
        for text in [
            "data:image/png;base64,QUJD",
            "DATA:image/PNG;BASE64,QUJD",
            "Data:;base64,QUJD",
            "data:image/png;charset=utf-8;base64,QUJD",
            "data:image/png;name=\"a,b.png\";base64,QUJD",
            "data:image/png,QUJD",
            "data:,QUJD",
            "\n data:image/png;base64,QUJD",
        ] {
            assert!(is_data_url(text.as_bytes()));
            assert_eq!(without_data_prefix(text.as_bytes()), b"QUJD", "{text}");
        }
        for text in ["QUJD", "data:QUJD", "database64,QUJD", "https://host/a;base64,QUJD"] {
            assert_eq!(without_data_prefix(text.as_bytes()), text.as_bytes());
        }
    }
}
