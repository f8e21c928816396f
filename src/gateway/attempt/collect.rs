//! The pictures of an answer: fetched, checked against what was agreed, and named.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use crate::cache::GeneratedPicture;
use crate::capabilities::{Mismatch, ResultCheck};
use crate::failure::{Class, Failure};
use crate::gateway::attempt::attempt_result::CollectedPictures;
use crate::gateway::attempt::context::Attempt;
use crate::gateway::attempt::fetch;
use crate::image::Picture;
use crate::money::Usd;
use crate::provider::{JobResult, PictureSource};

/// The pictures of an answer, sorted by what is to become of them.
#[derive(Default)]
struct Sorted {
    pictures: Vec<Picture>,
    at: Vec<u8>,
    unlike: Vec<Mismatch>,
    failure: Option<Failure>,
}

impl Attempt {
    /// Fetches and checks the pictures; `body` is that of the reply.
    pub(super) async fn collect_pictures(self: &Arc<Self>, drawn: JobResult, body: Bytes) -> CollectedPictures {
        let JobResult { images, refused, refused_billed, usage } = drawn;
        let behind_links = images.iter().any(|found| matches!(found.source, PictureSource::Link(_)));
        let fetched = join_all(images.into_iter().map(|found| self.fetch(found, body.clone()))).await;
        let fetched = fetch::without_repeats(fetched, usize::from(self.n)).await;
        let found = fetched.len();
        let Sorted { pictures, at, unlike, mut failure } = self.sort(fetched);
        // A vendor may send more than it was asked for; a broken one of those is nobody's loss. With a seed none of them
        // stands in for the one that was asked for.
        let replaced = self.request.seed.is_none() || at.iter().copied().take(usize::from(self.n)).eq(0..self.n);
        if replaced && pictures.len() >= usize::from(self.n) {
            failure = None;
        }
        if pictures.is_empty() && failure.is_none() {
            failure = Some(match refused {
                0 => Failure::new(Class::Malformed, "a reply without pictures"),
                _ => Failure::new(Class::Policy, "every picture was withheld"),
            });
        }
        let broken = found - pictures.len() - unlike.len();
        let out_of_reach = behind_links && pictures.is_empty() && unlike.is_empty();
        CollectedPictures { pictures, at, broken, out_of_reach, unlike, refused, refused_billed, usage, failure }
    }

    /// Tells pictures that are as was agreed from others and from those that could not be had.
    fn sort(&self, fetched: Vec<Result<Picture, Failure>>) -> Sorted {
        let mut sorted = Sorted::default();
        for (nth, result) in (0..=u8::MAX).zip(fetched) {
            match result.map(|picture| (self.insist(&picture), picture)) {
                Ok((Ok(()), picture)) => {
                    sorted.pictures.push(picture);
                    sorted.at.push(nth);
                }
                Ok((Err((unmet, why)), _)) => {
                    sorted.unlike.push(unmet);
                    sorted.failure.get_or_insert(why);
                }
                Err(why) => sorted.failure = Some(why),
            }
        }
        sorted
    }

    /// Turns away a picture that is not as was agreed where the route takes no other; elsewhere that is told. Such a
    /// picture is paid for, and the next would be like it.
    fn insist(&self, picture: &Picture) -> Result<(), (Mismatch, Failure)> {
        let came = self.check_result(picture);
        if let Some((unmet, change)) = came.refused(self.candidate.strict) {
            return Err((*unmet, Failure::new(Class::Unlike, format!("{unmet}: {change}"))));
        }
        for (unmet, change) in &came.unmet {
            log::warn!("{} drew {unmet}: {change}", self.offer.name);
        }
        Ok(())
    }

    /// A picture with its name, not yet priced.
    pub(super) fn named(&self, picture: Picture) -> GeneratedPicture {
        let adjusted = self.check_result(&picture).adjusted.iter().map(ToString::to_string).collect();
        let drawn_by = self.offer.name.as_str().into();
        GeneratedPicture { adjusted, ..GeneratedPicture::new(picture, drawn_by, Usd::ZERO, self.shared.hash_seed) }
    }

    /// What came otherwise than the request wished, a size or a file format included.
    fn check_result(&self, picture: &Picture) -> ResultCheck {
        self.candidate.fitted.check_result(&self.request, picture.size, picture.format)
    }
}
