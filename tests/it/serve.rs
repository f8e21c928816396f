//! What a client sees of a request that works: pictures, headers, links, models.

use base64_simd::STANDARD;
use easel::sandbox::Name;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::world::{GENERATE, World, ask, ask_with, pictures, route, route_with};

#[tokio::test]
async fn a_prompt_becomes_a_picture_and_the_headers_tell_who_drew_it_and_what_it_cost() {
    let world = World::new(&route(&["stability/core", "openai/gpt-image-2"])).await;
    let answer = world.draw(ask("a red fox")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(pictures(&answer).len(), 1);
    assert_eq!(answer.header("x-easel-route"), "r");
    assert_eq!(answer.header("x-easel-cache"), "miss");
    assert_eq!(answer.header("x-easel-served-by"), "stability/core=1");
    assert_eq!(answer.header("x-easel-cost-usd"), "0.04");
    assert_eq!(answer.header("x-easel-attempts"), "1");
    assert_eq!(answer.header("x-easel-request-id").len(), 16);
    assert_eq!(world.bill(Name::Stability).pictures, 1);
}

#[tokio::test]
async fn every_wire_format_draws_what_was_asked_without_a_violation() {
    for (offer, vendor) in [
        ("openai/gpt-image-2", Name::OpenAi),
        ("openai/dall-e-3", Name::OpenAi),
        ("compatible/any-model", Name::Compatible),
        ("stability/core", Name::Stability),
        ("stability/stable-diffusion-xl-1024-v1-0", Name::Stability),
        ("replicate/black-forest-labs/flux-schnell", Name::Replicate),
    ] {
        let world = World::new(&route(&[offer])).await;
        let answer = world.draw(ask_with("two cats", json!({"n": 2, "output_format": "png"}))).await;
        let answer =
            if answer.status == 400 { world.draw(ask_with("two cats", json!({"n": 2}))).await } else { answer };
        assert_eq!(answer.status, 200, "{offer}: {}", answer.text());
        assert_eq!(pictures(&answer).len(), 2, "{offer}");
        let bill = world.bill(vendor);
        assert_eq!((bill.pictures, bill.violations), (2, vec![]), "{offer}");
        assert_eq!(world.spent(), world.invoiced(), "{offer}");
    }
}

#[tokio::test]
async fn n_larger_than_a_provider_draws_at_once_is_split_over_calls() {
    let world = World::new(&route(&["stability/core"])).await;
    let answer = world.draw(ask_with("four cats", json!({"n": 4}))).await;
    assert_eq!(pictures(&answer).len(), 4);
    assert_eq!(answer.header("x-easel-attempts"), "4");
    assert_eq!(answer.header("x-easel-cost-usd"), "0.16");
    assert_eq!(world.bill(Name::Stability).calls, 4);
}

#[tokio::test]
async fn both_response_formats_are_honoured_whatever_the_provider_returns() {
    // Stability answers base64, Replicate links.
    for offer in ["stability/core", "replicate/black-forest-labs/flux-schnell"] {
        let world = World::new(&route(&[offer])).await;
        let base64 = world.draw(ask_with("a cat", json!({"response_format": "b64_json"}))).await;
        let inline = STANDARD.decode_to_vec(base64.json()["data"][0]["b64_json"].as_str().unwrap()).unwrap();
        let url = world.draw(ask_with("a cat", json!({"response_format": "url"}))).await;
        assert_eq!(url.header("x-easel-cache"), "exact", "{offer}");
        let item = &url.json()["data"][0];
        assert_eq!(item.as_object().unwrap().keys().collect::<Vec<_>>(), ["url"], "{offer}");
        let link = item["url"].as_str().unwrap();
        let path = link.strip_prefix(&format!("http://{}", world.addr)).expect("the link is our own");
        let file = world.client().await.get(path).await;
        assert_eq!((file.status, &file.body), (200, &inline), "{offer}");
        assert!(file.header("content-type").starts_with("image/"), "{offer}");
        let answered_first = world.draw(ask_with("a dog", json!({"response_format": "url"}))).await;
        assert_eq!(answered_first.status, 200, "{offer}: {}", answered_first.text());
    }
}

#[tokio::test]
async fn a_route_says_how_pictures_are_handed_out_to_who_does_not_and_it_is_no_part_of_their_meaning() {
    let world = World::new(&route_with(&["stability/core"], "    defaults: {response_format: url}\n")).await;
    let keys = |answer: &Answer| answer.json()["data"][0].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let silent = world.draw(ask("a cat")).await;
    assert_eq!(keys(&silent), ["url"], "{}", silent.text());
    let absent = world.draw(ask_with("a cat", json!({"response_format": null}))).await;
    let own = world.draw(ask_with("a cat", json!({"response_format": "b64_json"}))).await;
    assert_eq!((keys(&absent), keys(&own)), (vec!["url".to_owned()], vec!["b64_json".to_owned()]));
    assert_eq!((absent.header("x-easel-cache"), own.header("x-easel-cache")), ("exact", "exact"));
    let streamed = world.draw(ask_with("a cat", json!({"stream": true}))).await;
    assert_eq!((streamed.status, streamed.header("x-easel-cache")), (200, "exact"));
    assert!(streamed.text().contains("\"b64_json\":"), "a stream has base64 in any case");
    let both = world.draw(ask_with("a cat", json!({"stream": true, "response_format": "url"}))).await;
    assert_eq!(both.error().0, 400, "what the caller asks for is not overruled");
}

#[tokio::test]
async fn a_size_the_model_cannot_draw_is_bent_and_told_or_the_offer_is_skipped_with_a_reason() {
    let world = World::new(&route(&["stability/core"])).await;
    let answer = world.draw(ask_with("wide", json!({"size": "1792x1024"}))).await;
    assert_eq!(answer.header("x-easel-adjusted"), "size 1792x1024 -> 16:9");
    let again = world.draw(ask_with("wide", json!({"size": "1792x1024"}))).await;
    assert_eq!((again.header("x-easel-cache"), again.header("x-easel-adjusted")), ("exact", "size 1792x1024 -> 16:9"));
    let (width, height) = pictures(&answer)[0];
    assert_eq!(answer.header("x-easel-size"), format!("{width}x{height}"));
    let answer = world.draw(ask_with("ribbon", json!({"size": "4096x512"}))).await;
    assert_eq!(answer.error(), (400, "unsupported_value".into(), "size".into()));
    assert_eq!(answer.header("x-easel-skipped"), "stability/core=size");

    let world = World::new(&route(&["stability/core", "compatible/any-model"])).await;
    let answer = world.draw(ask_with("ribbon", json!({"size": "1024x128"}))).await;
    assert_eq!(answer.header("x-easel-served-by"), "compatible/any-model=1", "{}", answer.text());
    assert_eq!(answer.header("x-easel-skipped"), "stability/core=size");
    assert_eq!(pictures(&answer), [(1024, 128)]);
}

#[tokio::test]
async fn a_threshold_skips_the_dear_offer_and_says_how_far_off_the_rest_is() {
    let more = "    price: {max_usd_per_image: 0.03}\n";
    let world = World::new(&route_with(&["stability/core"], more)).await;
    let answer = world.draw(ask("a cat")).await;
    assert_eq!(answer.error(), (400, "price_limit".into(), String::new()));
    assert!(answer.text().contains("0.04 USD, over the limit of 0.03 USD"), "{}", answer.text());
    assert_eq!(answer.header("x-easel-skipped"), "stability/core=over_price");

    let more = "    price: {max_usd_per_request: 0.10}\n";
    let world = World::new(&route_with(&["stability/core"], more)).await;
    assert_eq!(world.draw(ask_with("cats", json!({"n": 2}))).await.status, 200);
    let answer = world.draw(ask_with("more cats", json!({"n": 3}))).await;
    assert_eq!(answer.error().1, "price_limit");
    assert_eq!(world.bill(Name::Stability).pictures, 2);
}

#[tokio::test]
async fn the_models_are_listed_and_found_by_name() {
    let world = World::new(&route(&["stability/core"])).await;
    let mut client = world.client().await;
    let list = client.get("/v1/models").await.json();
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!((ids, list["object"].as_str()), (vec!["m", "stability/core"], Some("list")));
    assert_eq!(client.get("/v1/models/m").await.json()["object"], "model");
    assert_eq!(client.get("/v1/models/stability/core").await.json()["id"], "stability/core");
    assert_eq!(client.get("/v1/models/nope").await.error(), (404, "model_not_found".into(), "model".into()));
}

#[tokio::test]
async fn naming_an_offer_pins_it_and_a_pinned_picture_is_a_picture_of_its_own() {
    let world = World::new(&route(&["stability/core", "openai/gpt-image-2"])).await;
    world.draw(ask("a cat")).await;
    let pinned = world.draw(ask_with("a cat", json!({"model": "openai/gpt-image-2"}))).await;
    assert_eq!(pinned.header("x-easel-served-by"), "openai/gpt-image-2=1");
    assert_eq!(pinned.header("x-easel-cache"), "miss");
}

#[tokio::test]
async fn a_route_is_chosen_by_header_as_well() {
    let config = route_with(
        &["stability/core"],
        "  - name: marketing\n    match: {headers: {x-team: marketing}}\n    offers: [openai/gpt-image-2]\n",
    );
    let world = World::new(&config).await;
    assert_eq!(world.draw(ask("a cat")).await.header("x-easel-route"), "r");
    let other = json!({"prompt": "a cat", "size": "1024x1024"});
    let answer = world.draw_with(other.clone(), &[("x-team", "marketing")]).await;
    assert_eq!(answer.header("x-easel-route"), "marketing");
    assert_eq!(world.draw(json!({"prompt": "x", "model": "nope"})).await.error().1, "model_not_found");
}

#[tokio::test]
async fn http2_without_tls_and_a_kept_connection_work_alike() {
    let world = World::new(&route(&["stability/core"])).await;
    let mut client = world.client().await;
    for _ in 0..3 {
        assert_eq!(client.post(GENERATE, &ask("a cat")).await.status, 200);
    }
    let page = crate::h2::post(world.addr, GENERATE, &ask("a cat")).await;
    let body: Value = serde_json::from_slice(&page.1).unwrap();
    assert_eq!((page.0, body["data"].as_array().unwrap().len()), (200, 1));
}

#[tokio::test]
async fn a_body_announced_with_expect_continue_is_invited_and_the_connection_lives_on() {
    let world = World::new(&route(&["stability/core"])).await;
    let mut client: Client = world.client().await;
    let body = ask("a cat").to_string();
    let headers =
        [("content-type", "application/json"), ("expect", "100-continue"), ("content-length", &body.len().to_string())];
    client.send("POST", GENERATE, &headers, b"").await;
    assert_eq!(client.receive_any().await.unwrap().status, 100);
    client.raw(body.as_bytes()).await;
    assert_eq!(client.receive().await.unwrap().status, 200);
    assert_eq!(client.get("/v1/models").await.status, 200);
}

#[tokio::test]
async fn a_strict_route_asks_only_who_meets_every_wish() {
    let world = World::new(&route_with(&["stability/core", "openai/gpt-image-2"], "    strict: true\n")).await;
    let met = world.draw(ask_with("a fox", json!({"quality": "low", "size": "1024x1024"}))).await;
    assert_eq!(met.header("x-easel-served-by"), "openai/gpt-image-2=1", "{}", met.text());
    assert_eq!(met.header("x-easel-skipped"), "stability/core=size");
    for (wish, word) in [("quality", "hd"), ("style", "vivid")] {
        let unmet = world.draw(ask_with("a fox", json!({"size": "1024x1024", wish: word}))).await;
        assert_eq!(unmet.error(), (400, "unsupported_value".to_owned(), wish.to_owned()), "{}", unmet.text());
    }
    let lax = World::new(&route(&["stability/core"])).await;
    let dropped = lax.draw(ask_with("a fox", json!({"quality": "low", "size": "1024x1024"}))).await;
    assert_eq!(dropped.header("x-easel-adjusted"), "size 1024x1024 -> 1:1,quality dropped");
}
