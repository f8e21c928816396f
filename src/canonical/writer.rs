//! Writes values one after the other so that no two lists of values give the same bytes.

use crate::request::Edit;

/// Fields written with their length, so that no two different lists of fields make the same bytes.
pub(super) struct FieldWriter(pub(super) Vec<u8>);

impl FieldWriter {
    /// Input pictures count by their hashes, so that the form stays small.
    pub(super) fn edit(&mut self, edit: Option<&Edit>) {
        let Some(Edit { images, mask, fidelity }) = edit else { return };
        self.field(Some(&images.len().to_string()));
        self.field(mask.as_ref().map(|_| "mask"));
        for image in images.iter().chain(mask.iter().map(|mask| &mask.clear)) {
            self.0.extend_from_slice(&image.hash);
        }
        self.field(fidelity.map(|fidelity| fidelity.as_str()));
    }

    pub(super) fn field(&mut self, value: Option<&str>) {
        match value {
            None => self.0.push(0),
            Some(text) => {
                self.0.push(1);
                self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
                self.0.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// The field that `bytes` begin with, and what comes behind it.
pub(super) fn read_field(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.strip_prefix(&[1])?.split_first_chunk::<8>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// SHA-256 of what counts.
pub type Digest = [u8; 32];
