//! Entra's tokens for Azure over HTTP: one for everybody, a fresh one when it is refused, and no secret in an answer.

use easel::Usd;
use easel::sandbox::{Name, Settings};
use futures_util::future::join_all;
use serde_json::Value;

use crate::world::{World, ask};

const SECRET: &str = "s3cret~of-the-application";

const CONFIG: &str = "
providers:
  azure:
    kind: azure
    base_url: ${SANDBOX}/azure/
    entra: {tenant: contoso.onmicrosoft.com, client_id: app-1, client_secret: 's3cret~of-the-application',
      authority: '${SANDBOX}/azure/login/'}
    models: {gpt-image-1: {price: 0.04}}
routes: [{name: all, offers: [azure/gpt-image-1]}]
";

/// A world whose Azure takes no key, and tokens only for the right secret.
async fn world(more: &str) -> World {
    let settings = format!("{{vendors: {{azure: {{key: of-nobody, token_key: '{SECRET}'{more}}}}}}}");
    let settings: Settings = serde_yaml::from_str(&settings).unwrap();
    World::with(CONFIG, settings).await
}

fn different(number: u32) -> Value {
    ask(&format!("a red fox, number {number}"))
}

#[tokio::test]
async fn twenty_requests_at_once_share_one_token_of_entra_and_later_ones_keep_it() {
    let world = world("").await;
    let answers = join_all((0..20).map(|number| world.draw(different(number)))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{}", answers[0].text());
    assert_eq!(world.sandbox.tokens(Name::Azure), 1);
    assert_eq!(world.draw(different(20)).await.status, 200);
    assert_eq!(world.sandbox.tokens(Name::Azure), 1);
    let bill = world.bill(Name::Azure);
    assert_eq!((bill.pictures, &bill.violations[..]), (21, &[][..]));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_token_that_azure_refuses_is_replaced_and_the_call_made_once_more() {
    let world = world("").await;
    assert_eq!(world.draw(different(1)).await.status, 200);
    world.sandbox.revoke_tokens(Name::Azure);
    assert_eq!(world.draw(different(2)).await.status, 200);
    assert_eq!(world.sandbox.tokens(Name::Azure), 2);
    assert_eq!(world.bill(Name::Azure).violations_total, 1, "the old token was sent once");
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_token_or_a_secret_that_stays_refused_is_told_without_either() {
    for (token_life, secret, violations) in [("0s", SECRET, 2), ("3599s", "of-another", 1)] {
        let world = world(&format!(", token_life: {token_life}")).await;
        world.set(Name::Azure, |vendor| vendor.token_key = Some(secret.to_owned()));
        let answer = world.draw(different(1)).await;
        assert!(answer.status >= 500, "{}: {}", answer.status, answer.text());
        assert_eq!(world.bill(Name::Azure).violations_total, violations);
        for secret in [SECRET, "eyJ0eXAi", "app-1"] {
            assert!(!answer.text().contains(secret), "{secret}: {}", answer.text());
        }
        assert_eq!(world.spent(), Usd::ZERO);
    }
}
