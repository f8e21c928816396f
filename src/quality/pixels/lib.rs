//! Decodes picture files as a browser shows them, and measures them.
//!
//! [`Header::read`] tells the size of a file without decoding it. [`Decoded::from_file`] decodes it, within a bound that is
//! checked before anything is allocated. [`Surface`] is the decoded picture on a backdrop, and every number that Easel's
//! quality gate goes by is read off it, one function a number, so that what nobody asks for is not computed.
//!
//! Nothing here knows what a good picture is: no threshold that a config sets is in this crate. It is a crate of its own
//! because it is optimised in every profile, and Easel itself is not in the profile of the demo and the tests.

mod decoded;
mod delta_e;
mod exif;
mod fingerprint;
mod frame;
mod histogram;
mod icc;
mod jpeg_file;
mod jpeg_scan;
mod mosaic;
mod noise;
mod png_file;
mod sharpness;
mod surface;
mod webp_file;

pub use decoded::{Decoded, Format, Header};
pub use delta_e::{Lab, delta_e_2000, share_of_color};
pub use fingerprint::Fingerprint;
pub use frame::Undecodable;
pub use histogram::Histogram;
pub use mosaic::{Mosaic, mosaic};
pub use noise::noise;
pub use sharpness::{Sharpness, sharpness};
pub use surface::{Backdrop, Surface, Thumbnail};
