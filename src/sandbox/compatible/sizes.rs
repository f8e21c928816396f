//! Reads the size of a picture as the compatible vendor's dialect writes it.

use crate::image::Size;
use crate::sandbox::compatible::dialect::{Dialect, SizeStyle};
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};

/// The requested size as the dialect writes it; the dialect's default when the request has none.
pub(in crate::sandbox) fn size(fields: &mut RequestFields, dialect: &Dialect) -> Result<Size, FieldError> {
    let theirs = |name| dialect.rename.get(name).map_or(name, String::as_str);
    let default = dialect.default_size;
    let (field, size) = match dialect.size {
        SizeStyle::None => return Ok(default),
        SizeStyle::WidthXHeight => (theirs("size"), written(fields, theirs("size"), 'x')?),
        SizeStyle::WidthStarHeight => (theirs("size"), written(fields, theirs("size"), '*')?),
        SizeStyle::TwoFields => (theirs("width"), sides(fields, dialect)?),
        SizeStyle::AspectRatio => (theirs("aspect_ratio"), ratio(fields, theirs("aspect_ratio"))?),
        SizeStyle::Any => {
            let given =
                [written(fields, theirs("size"), 'x')?, written(fields, "image_size", 'x')?, sides(fields, dialect)?];
            (theirs("size"), given.into_iter().flatten().next())
        }
    };
    let size = size.unwrap_or(default);
    if size.width % dialect.size_step != 0 || size.height % dialect.size_step != 0 {
        return Err(FieldError::other(field, format!("must be a multiple of {}", dialect.size_step)));
    }
    if !dialect.sizes.is_empty() && !dialect.sizes.contains(&size.to_string()) {
        return Err(FieldError::new(field, FieldErrorKind::NotOneOf(dialect.sizes.iter().cloned().collect())));
    }
    Ok(size)
}

/// The largest side drawn here.
const MAX_SIDE: u32 = 4096;

fn written(fields: &mut RequestFields, name: &str, sign: char) -> Result<Option<Size>, FieldError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let size = text.split_once(sign).and_then(|(width, height)| format!("{width}x{height}").parse::<Size>().ok());
    let size = size.filter(|size| size.width <= MAX_SIDE && size.height <= MAX_SIDE);
    size.map(Some)
        .ok_or_else(|| FieldError::other(name, format!("must be a size like 1024{sign}1024, sides up to {MAX_SIDE}")))
}

fn sides(fields: &mut RequestFields, dialect: &Dialect) -> Result<Option<Size>, FieldError> {
    let theirs = |name| dialect.rename.get(name).map_or(name, String::as_str);
    let mut side = |name| fields.whole(theirs(name), 1..=i64::from(MAX_SIDE));
    let (width, height) = (side("width")?, side("height")?);
    let side = |side: Option<i64>| side.and_then(|side| u32::try_from(side).ok()).unwrap_or(1024);
    Ok((width.is_some() || height.is_some()).then(|| Size::new(side(width), side(height))))
}

/// About a million pixels in this ratio, sides in multiples of 16.
fn ratio(fields: &mut RequestFields, name: &str) -> Result<Option<Size>, FieldError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let parts = text.split_once(':').and_then(|(w, h)| Some((w.parse::<u64>().ok()?, h.parse::<u64>().ok()?)));
    let parts = parts.filter(|(w, h)| (1..=64).contains(w) && (1..=64).contains(h));
    let (w, h) = parts.ok_or_else(|| FieldError::other(name, "must be a ratio like 16:9"))?;
    let side = |this: u64, other: u64| {
        let exact = (1024 * 1024 * this / other).isqrt();
        u32::try_from((exact + 8) / 16 * 16).unwrap_or(1024).clamp(16, MAX_SIDE)
    };
    Ok(Some(Size::new(side(w, h), side(h, w))))
}
