//! Several texts as one key, all of which decide what is kept under it.

/// Texts, each with its length, so that no two lists make the same key. The whole of it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartsKey(Box<[u8]>);

impl PartsKey {
    /// These, in their order.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> PartsKey {
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        PartsKey(bytes.into_boxed_slice())
    }

    /// Bytes that it takes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
