//! `offers:` of a route: each names a provider and a model that the config has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::check::checker::Checker;
use crate::config::check::strategy;
use crate::config::check::text_models::{self, OPENAI_TEXT, draws_nothing};
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{Model, Offer, Provider, TextModel};
use crate::config::provider_kind::ProviderKind;
use crate::config::suggest::{instead, listed, nearest};

/// What an offer can name.
pub(super) struct KnownOffers<'a> {
    pub(super) providers: &'a BTreeMap<String, Arc<Provider>>,
    /// Where the providers are written, those with problems included.
    pub(super) at: NodePath<'a>,
    pub(super) kinds: &'a [ProviderKind],
}

pub(super) fn offers(
    checker: &mut Checker<'_>,
    written: &[file::Offer],
    at: NodePath<'_>,
    known: &KnownOffers<'_>,
) -> Vec<Offer> {
    if written.is_empty() && !at.lost_items() {
        checker.report(at, "this route has no offers", "add `offers: [provider/model]`".to_owned());
    }
    let mut offers: Vec<Offer> = Vec::new();
    for (index, offer) in written.iter().enumerate() {
        let place = at.item(index);
        let (name, name_at, limit, when) = match offer {
            file::Offer::Name(name) => (Some(name), place, None, Vec::new()),
            file::Offer::Limited(file::LimitedOffer { offer, max_usd_per_image, when }) => {
                let limit = checker.read(place.key("max_usd_per_image"), max_usd_per_image.as_ref());
                let when = strategy::ask_when(checker, when.as_deref(), place.key("when"));
                (offer.as_ref(), place.key("offer"), limit, when)
            }
        };
        let Some(name) = name else {
            checker.report(name_at, "this offer names nobody", "add `offer: provider/model`".to_owned());
            continue;
        };
        let Some((provider, model)) = known.offer(checker, name, name_at) else { continue };
        let (provider, model) = (Arc::clone(provider), Arc::clone(model));
        if offers.iter().any(|offer| offer.name == *name) {
            let what = format!("{} is offered twice on this route", name_at.shown());
            checker.report(
                name_at,
                what,
                "delete one; `attempts: {per_offer: 2}` asks the same offer again".to_owned(),
            );
        }
        offers.push(Offer { provider, model, name: name.clone(), max_usd_per_image: limit, when });
    }
    strategy::somebody_first(checker, &offers, at);
    offers
}

impl KnownOffers<'_> {
    /// The provider and the model that draws, which `provider/model` names.
    pub(super) fn offer(
        &self,
        checker: &mut Checker<'_>,
        name: &str,
        at: NodePath<'_>,
    ) -> Option<(&Arc<Provider>, &Arc<Model>)> {
        let (provider, model) = self.named(checker, name, at)?;
        if draws_nothing(provider.kind) {
            let what = format!("{} draws nothing: kind {} is for words", at.shown(), provider.kind);
            let help = match at.is_expanded() {
                true => "name it under this route's `prompt.enrich` instead".to_owned(),
                false => {
                    format!("write `prompt: {{enrich: {{offer: {name}, system: \"...\"}}}}` on this route instead")
                }
            };
            checker.report(at, what, help);
        }
        Some((provider, provider.models.get(model)?))
    }

    /// The provider and the model that writes, which `provider/model` names.
    pub(super) fn writer(
        &self,
        checker: &mut Checker<'_>,
        name: &str,
        at: NodePath<'_>,
    ) -> Option<(&Arc<Provider>, &Arc<TextModel>)> {
        let (provider, model) = self.named(checker, name, at)?;
        if !draws_nothing(provider.kind) {
            let what = format!("{} draws pictures and writes nothing", at.shown());
            checker.report(at, what, format!("name a model of a provider of kind {}", text_models::kinds()));
        }
        let writer = provider.writers.get(model)?;
        if writer.price.text_out.is_none() {
            let what = format!("{} has no price for what it writes", at.shown());
            checker.report(at, what, "add `text_out` to its `tokens_per_million`; 0 where it is free".to_owned());
        }
        Some((provider, writer))
    }

    /// The provider and the model that embeds, which `provider/model` names.
    pub(super) fn embedder(
        &self,
        checker: &mut Checker<'_>,
        name: &str,
        at: NodePath<'_>,
    ) -> Option<(&Arc<Provider>, &Arc<TextModel>)> {
        let (provider, model) = self.named(checker, name, at)?;
        if provider.kind != OPENAI_TEXT {
            let what = format!("{} embeds nothing: its provider is of kind {}", at.shown(), provider.kind);
            checker.report(at, what, format!("name a model of a provider of kind {OPENAI_TEXT}"));
        }
        Some((provider, provider.writers.get(model)?))
    }

    /// The provider that `provider/model` names, and its model's name, which is written among its models. The first
    /// slash divides: a model may have more of them.
    pub(super) fn named<'n>(
        &self,
        checker: &mut Checker<'_>,
        name: &'n str,
        at: NodePath<'_>,
    ) -> Option<(&Arc<Provider>, &'n str)> {
        let Some((provider, model)) = name.split_once('/') else {
            let help = self.complete(name, at);
            checker.report(at, format!("{} is not provider/model", at.shown()), help);
            return None;
        };
        if !self.at.keys().any(|key| key == provider) {
            if !self.at.is_bad() {
                let help = self.near_provider(provider, model, at);
                checker.report(at, format!("{} names no provider of this file", at.shown()), help);
            }
            return None;
        }
        // A provider or model that is written but was not read has its own problem.
        let models = self.at.key(provider).key("models");
        if !models.keys().any(|key| key == model) {
            if !models.is_bad() {
                let help = self.near_model(provider, model, at);
                checker.report(
                    at,
                    format!("{} is not among the models of `{}`", at.shown(), self.shown(provider)),
                    help,
                );
            }
            return None;
        }
        Some((self.providers.get(provider)?, model))
    }

    /// A provider's name as the file has it; `provider` itself may come from outside, but this one is in the file.
    pub(super) fn shown<'n>(&'n self, provider: &'n str) -> &'n str {
        self.at.keys().find(|key| *key == provider).unwrap_or_default()
    }

    /// `provider/model` for a text without a slash: a model's name alone, or a provider's.
    fn complete(&self, name: &str, at: NodePath<'_>) -> String {
        let offers: Vec<(String, &str)> = self
            .at
            .keys()
            .flat_map(|provider| {
                let models = self.at.key(provider).key("models").keys();
                models.map(move |model| (format!("{provider}/{model}"), model))
            })
            .collect();
        let exact = offers.iter().find(|(_, model)| *model == name);
        match exact {
            Some((offer, _)) if !at.is_expanded() => format!("did you mean `{offer}`?"),
            _ => format!("the offers are: {}", listed(offers.iter().map(|(offer, _)| offer.as_str()))),
        }
    }

    fn near_provider(&self, provider: &str, model: &str, at: NodePath<'_>) -> Option<String> {
        if at.is_expanded() {
            return None;
        }
        match nearest(provider, self.at.keys()) {
            Some(near) => Some(format!("did you mean `{near}/{model}`?")),
            None => instead(provider, self.at.keys(), "the providers are"),
        }
    }

    fn near_model(&self, provider: &str, model: &str, at: NodePath<'_>) -> Option<String> {
        if at.is_expanded() {
            return None;
        }
        let models = self.at.key(provider).key("models").keys();
        if let Some(near) = nearest(model, models.clone()) {
            return Some(format!("did you mean `{provider}/{near}`?"));
        }
        let kind = self.providers.get(provider).map(|provider| provider.kind);
        let known = self.kinds.iter().find(|known| Some(known.name) == kind).map_or(&[][..], |kind| kind.known_models);
        match nearest(model, known.iter().copied()) {
            Some(near) => Some(format!("add `{near}` with its price under `providers.{provider}.models`")),
            None => instead(model, models, "its models are")
                .or_else(|| Some(format!("add it with its price under `providers.{provider}.models`"))),
        }
    }
}
