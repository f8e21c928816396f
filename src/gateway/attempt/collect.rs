//! The pictures of an answer: fetched, checked against what was agreed, and named.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use crate::cache::GeneratedPicture;
use crate::capabilities::{Mismatch, ResultCheck};
use crate::failure::{Class, Failure};
use crate::gateway::attempt::attempt_result::{CollectedPicture, CollectedPictures, RejectedPicture};
use crate::gateway::attempt::context::Attempt;
use crate::gateway::attempt::fetch::{self, FetchFailure};
use crate::image::Picture;
use crate::money::Usd;
use crate::provider::{JobResult, PictureSource};

impl Attempt {
    /// Fetches and checks the pictures; `body` is that of the reply.
    pub(super) async fn collect_pictures(self: &Arc<Self>, drawn: JobResult, body: Bytes) -> CollectedPictures {
        let JobResult { images, refused, refused_billed, usage } = drawn;
        let behind_links = images.iter().any(|found| matches!(found.source, PictureSource::Link(_)));
        let fetched = join_all(images.into_iter().map(|found| self.fetch(found, body.clone()))).await;
        let fetched = fetch::without_repeats(fetched, usize::from(self.n)).await;
        let mut collected = CollectedPictures { refused, refused_billed, usage, ..CollectedPictures::default() };
        let unlike = self.sort(fetched, &mut collected);
        // A vendor may send more than it was asked for; a broken one of those is nobody's loss. With a seed none of them
        // stands in for the one that was asked for.
        if collected.has_all(self.n, self.request.seed.is_some()) {
            collected.failure = None;
        }
        if collected.pictures.is_empty() && collected.failure.is_none() {
            collected.failure = Some(match refused {
                0 => Failure::new(Class::Malformed, "a reply without pictures"),
                _ => Failure::new(Class::Policy, "every picture was withheld"),
            });
        }
        collected.out_of_reach = behind_links && collected.pictures.is_empty() && unlike == 0;
        collected
    }

    /// Tells pictures that are as was agreed from others, which are counted, and from those that could not be had.
    fn sort(&self, fetched: Vec<Result<Picture, FetchFailure>>, collected: &mut CollectedPictures) -> usize {
        let mut unlike = 0;
        for (at, result) in (0..=u8::MAX).zip(fetched) {
            let rejected = |size, reason| RejectedPicture { size, reason, best_effort: None };
            match result.map(|picture| (self.insist(&picture), picture)) {
                Ok((Ok(()), picture)) => collected.pictures.push(CollectedPicture { picture, at, quality: None }),
                Ok((Err((unmet, why)), picture)) => {
                    unlike += 1;
                    collected.rejected.push(rejected(Some(picture.size), unmet.as_str()));
                    collected.failure.get_or_insert(why);
                }
                Err(FetchFailure { reason, failure }) => {
                    collected.rejected.push(rejected(None, reason));
                    collected.failure = Some(failure);
                }
            }
        }
        unlike
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
    pub(super) fn named(&self, collected: CollectedPicture) -> GeneratedPicture {
        let CollectedPicture { picture, at: _, quality } = collected;
        let adjusted = self.check_result(&picture).adjusted.iter().map(ToString::to_string).collect();
        let drawn_by = self.offer.name.as_str().into();
        GeneratedPicture {
            adjusted,
            quality,
            ..GeneratedPicture::new(picture, drawn_by, Usd::ZERO, self.shared.hash_seed)
        }
    }

    /// What came otherwise than the request wished, a size or a file format included.
    fn check_result(&self, picture: &Picture) -> ResultCheck {
        self.candidate.fitted.check_result(&self.request, picture.size, picture.format)
    }
}
