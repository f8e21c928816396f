//! The names of fields, each once, with who takes it: what a client may send, and what a vendor may be sent.

const GENERATION: u8 = 1;
const EDIT: u8 = 2;
const VARIATION: u8 = 4;
const SENT: u8 = 8;

/// Every name and who takes it, in the order in which messages list them.
const FIELDS: [(&str, u8); 23] = [
    ("prompt", GENERATION | EDIT | SENT),
    ("model", GENERATION | EDIT | VARIATION | SENT),
    ("n", GENERATION | EDIT | VARIATION | SENT),
    ("size", GENERATION | EDIT | VARIATION | SENT),
    ("width", SENT),
    ("height", SENT),
    ("aspect_ratio", SENT),
    ("quality", GENERATION | EDIT | SENT),
    ("response_format", GENERATION | EDIT | VARIATION | SENT),
    ("output_format", GENERATION | EDIT | SENT),
    ("output_compression", GENERATION | EDIT | SENT),
    ("background", GENERATION | EDIT | SENT),
    ("moderation", GENERATION | EDIT | SENT),
    ("style", GENERATION | SENT),
    ("complexity", GENERATION | SENT),
    ("image", SENT),
    ("mask", SENT),
    ("input_fidelity", EDIT | SENT),
    ("stream", GENERATION | EDIT),
    ("partial_images", GENERATION | EDIT),
    ("user", GENERATION | EDIT | VARIATION | SENT),
    ("seed", GENERATION | EDIT | SENT),
    ("negative_prompt", GENERATION | EDIT | SENT),
];

/// The fields a generation may have.
pub(super) const GENERATION_FIELDS: [&str; 17] = names(GENERATION);

/// The fields an edit may have besides its pictures.
pub(super) const EDIT_FIELDS: [&str; 16] = names(EDIT);

/// The fields a variation may have besides its picture.
pub(super) const VARIATION_FIELDS: [&str; 5] = names(VARIATION);

/// The names Easel sends fields under before a dialect renames or drops them: OpenAI's, its own two extensions, the three
/// a size may be written as, and the three of an edit.
pub const SENT_FIELDS: [&str; 21] = names(SENT);

/// The names of the fields that this one takes, all `N` of them.
const fn names<const N: usize>(taker: u8) -> [&'static str; N] {
    let mut names = [""; N];
    let (mut row, mut found) = (0, 0);
    while row < FIELDS.len() {
        if FIELDS[row].1 & taker != 0 {
            names[found] = FIELDS[row].0;
            found += 1;
        }
        row += 1;
    }
    assert!(found == N, "the list is as long as its type says");
    names
}
