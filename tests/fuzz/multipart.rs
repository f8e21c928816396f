//! A form: its media type on the first line, its body after it.

use bytes::Bytes;
use easel::internals::multipart::fields;
use easel::internals::request::EditDraft;
use futures_util::FutureExt;

use super::request_json::holds;

/// The most pixels of a mask here. It is small, so that a run sees many.
const MASK_PIXELS: u64 = 1 << 16;

/// Takes it apart, and reads it as an edit and as a variation.
pub fn multipart(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(media_type) = std::str::from_utf8(&data[..end]) else { return };
    let body = Bytes::copy_from_slice(&data[end + 1..]);
    let length = body.len();
    let fields =
        || fields(media_type, body.clone()).now_or_never().expect("it is all there, so there is nothing to wait for");
    let Ok(form) = fields() else { return };
    assert!(form.iter().map(|field| field.bytes.len()).sum::<usize>() <= length, "more came out than went in");
    assert!(form.iter().all(|field| field.name.chars().count() <= 80));
    for read in [EditDraft::from_edit_form, EditDraft::from_variation_form] {
        if let Ok(form) = fields()
            && let Ok(draft) = read(form)
            && draft.check_mask(MASK_PIXELS).is_ok()
            && let Ok(request) = draft.finish()
        {
            holds(&request);
        }
    }
}
