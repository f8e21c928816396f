//! Addresses that vendors are called at, always built below the account's own base, so that a key can go nowhere else.

use url::Url;

use crate::failure::{Class, Failure};

/// An address below `base`: its host, its whole path, then `segments`, each percent-encoded. Empty segments and dots
/// are left out, so nothing climbs above the base.
pub fn address<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, Failure> {
    let mut url = base.clone();
    url.set_fragment(None);
    let no_path = || Failure::new(Class::AdapterBug, "base_url is not an address that paths can be added to");
    url.path_segments_mut()
        .map_err(|()| no_path())?
        .pop_if_empty()
        .extend(segments.into_iter().filter(|segment| !segment.is_empty()));
    Ok(url)
}

/// Whether a job's id from a reply may become part of an address.
pub fn is_plain_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !id.is_empty() && id.len() <= 128 && id.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_becomes_part_of_an_address_only_if_it_is_short_and_plain() {
        assert!(is_plain_id("gm3q-7") && !is_plain_id("") && !is_plain_id("a/b") && !is_plain_id(&"a".repeat(129)));
    }

    #[test]
    fn an_address_keeps_the_prefix_and_the_host() {
        let base: Url = "https://host/deep/prefix/?api-version=1".parse().unwrap();
        let at = |segments: &[&str]| address(&base, segments.iter().copied()).unwrap().to_string();
        assert_eq!(at(&["images", "generations"]), "https://host/deep/prefix/images/generations?api-version=1");
        assert_eq!(at(&["..", "", "a/b?c#d"]), "https://host/deep/prefix/a%2Fb%3Fc%23d?api-version=1");
        let bare: Url = "https://host".parse().unwrap();
        assert_eq!(address(&bare, ["x"]).unwrap().as_str(), "https://host/x");
        assert_eq!(address(&"mailto:x@y".parse().unwrap(), ["x"]).unwrap_err().class, Class::AdapterBug);
    }
}
