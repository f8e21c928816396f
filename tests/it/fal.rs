//! fal.ai as a provider against the sandbox that reads the same documents with other eyes: what is sent is taken, the
//! queue is followed to its end, and what its units say is what is charged.

use std::sync::{Arc, Mutex};

use axum::http::{Method, StatusCode, Uri};
use easel::internals::config::plan::{Model, Provider};
use easel::internals::provider::{JobResult, Reported, Step, by_kind, capabilities};
use easel::internals::request::{Edit, Fidelity, Mask};
use easel::sandbox::{Name, Sandbox, Settings};
use easel::{ImageRequest, Usd};
use image::GrayImage;
use serde_json::json;

use crate::exchange::{exchange, input, job, png};
use crate::world::{World, ask_with, plan};

fn edit(images: usize, mask: bool) -> Edit {
    let white = png(GrayImage::from_pixel(400, 500, image::Luma([255])));
    let mask = mask.then(|| Mask { clear: input(400, 500), white });
    Edit { images: vec![input(400, 500); images], mask, fidelity: Some(Fidelity::High) }
}

/// Asks as the gateway would and follows every step to its end.
async fn draw(sandbox: &Sandbox, provider: &Provider, model: &Model, request: &ImageRequest) -> JobResult {
    let kind = by_kind("fal").unwrap();
    let job = job(provider, model, request);
    let mut call = kind.ask(&job).unwrap();
    for _ in 0..3 {
        match kind.read(&job, &exchange(sandbox, &call).await) {
            Step::Done(drawn) => return drawn,
            Step::Failed(failure) | Step::Lost { failure, .. } => panic!("{}: {failure}", model.name),
            Step::Again { call: next, .. } => call = next,
        }
        sandbox.until(Name::Fal, |bill| bill.in_flight == 0).await;
    }
    panic!("{}: submitted, looked at and fetched, and still not done", model.name)
}

#[tokio::test]
async fn every_model_is_asked_in_a_form_that_the_strict_vendor_takes() {
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let kind = by_kind("fal").unwrap();
    let models: Vec<String> = kind.known_models().iter().map(|name| format!("{name}: {{price: 0.04}}")).collect();
    let config = format!(
        "providers: {{fal: {{kind: fal, base_url: \"${{SANDBOX}}/fal/\", api_key: k, models: {{{}}}}}}}\n\
         routes: [{{name: any, match: {{models: [any]}}, offers: [fal/fal-ai/flux/schnell]}}]\n",
        models.join(", ")
    );
    let plan = plan(&config, &sandbox.url());
    let provider = &plan.providers["fal"];
    for model in provider.models.values() {
        let able = capabilities(kind, &provider.account, model);
        let mut wish = json!({"prompt": "a red fox", "n": able.max_n, "size": "1000x1000", "quality": "high",
            "style": "vivid", "user": "u", "background": "opaque", "moderation": "low", "output_compression": 80});
        if able.seed {
            wish["seed"] = json!(u32::MAX);
        }
        if able.negative_prompt {
            wish["negative_prompt"] = json!("text");
        }
        let most = able.edit.map_or(0, |edit| usize::from(edit.images));
        let masks = match able.edit {
            Some(edit) if edit.needs_mask => vec![true],
            Some(edit) if edit.mask => vec![true, false],
            _ => vec![false],
        };
        for (images, mask) in [most.min(1), most].into_iter().flat_map(|n| masks.iter().map(move |mask| (n, *mask))) {
            for format in able.formats.iter().map(|format| Some(*format)).chain([None]) {
                let mut request = ImageRequest::from_json(wish.to_string().as_bytes()).unwrap();
                request.output_format = format;
                request.edit = (images > 0).then(|| edit(images, mask));
                let drawn = draw(&sandbox, provider, model, &request).await;
                assert_eq!(drawn.images.len(), usize::from(able.max_n), "{}", model.name);
                assert_eq!(drawn.usage.reported, Some(Reported::Units(able.max_n.to_string())), "{}", model.name);
                assert!(format.is_none_or(|format| drawn.usage.format == Some(format)), "{}", model.name);
            }
        }
    }
    assert_eq!(sandbox.invoice().vendor(Name::Fal).violations, [""; 0]);
}

const CONFIG: &str = "
providers:
  fal:
    kind: fal
    base_url: ${SANDBOX}/fal/
    api_key: fal-test
    timeout: 20s
    models:
      fal-ai/flux/schnell: {price: 0.005, unit_price: 0.003}
      openai/gpt-image-2: {price: 0.04}
routes:
  - {name: flux, match: {models: [flux]}, offers: [fal/fal-ai/flux/schnell]}
  - {name: gpt, match: {models: [gpt]}, offers: [fal/openai/gpt-image-2]}
";

fn prices() -> Settings {
    let prices = "{fal-ai/flux/schnell: 0.003, openai/gpt-image-2: 0.04}";
    serde_yaml::from_str(&format!("{{vendors: {{fal: {{price: {prices}}}}}}}")).unwrap()
}

#[tokio::test]
async fn units_settle_the_price_that_was_only_estimated() {
    let world = World::with(CONFIG, prices()).await;
    for (model, count) in [("flux", 4), ("gpt", 2)] {
        let answer = world.draw(ask_with("a red fox", json!({"model": model, "n": count, "size": "1024x1024"}))).await;
        assert_eq!((answer.status, answer.json()["data"].as_array().map(Vec::len)), (200, Some(count)), "{model}");
        assert_eq!(world.spent(), world.invoiced(), "{model}");
    }
    // Four at the price of a unit, not at the price that was estimated, and two at the list's price.
    assert_eq!(world.spent(), Usd::from_nanos(4 * 3_000_000 + 2 * 40_000_000));
    assert_eq!(world.bill(Name::Fal).violations, [""; 0]);
    let refused = world.draw(ask_with("a forbidden fox", json!({"model": "flux"}))).await;
    assert_eq!(refused.error(), (400, "moderation_blocked".to_owned(), String::new()));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn pictures_that_were_blacked_out_are_paid_and_not_delivered() {
    let world = World::with(CONFIG, prices()).await;
    let refused = world.draw(ask_with("withheld", json!({"model": "flux"}))).await;
    assert_eq!(refused.error(), (400, "moderation_blocked".to_owned(), String::new()));
    assert_eq!((world.spent(), world.invoiced()), (Usd::from_nanos(3_000_000), Usd::from_nanos(3_000_000)));
    let partly = world.draw(ask_with("withheld too", json!({"model": "flux", "n": 3}))).await;
    assert_eq!(partly.json()["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn an_edit_without_a_mask_is_not_sent_to_a_model_that_needs_one() {
    let models = "fal-ai/flux-pro/kontext: {price: 0.04}\n      fal-ai/flux-pro/v1/fill: {price: 0.01}";
    let offers = "[fal/fal-ai/flux-pro/v1/fill, fal/fal-ai/flux-pro/kontext]";
    let config = CONFIG.replace("openai/gpt-image-2: {price: 0.04}\n", &format!("{models}\n"));
    let config = config.replace("[fal/openai/gpt-image-2]", offers);
    let config =
        format!("{config}  - {{name: fill, match: {{models: [fill]}}, offers: [fal/fal-ai/flux-pro/v1/fill]}}\n");
    let world = World::new(&config).await;
    let file = base64_simd::STANDARD.encode_to_string(input(512, 512).bytes);
    let edit = async |model: &str| {
        let image = json!({"image_url": format!("data:image/png;base64,{file}")});
        let body = json!({"model": model, "prompt": "a hat", "images": [image]});
        world.client().await.post("/v1/images/edits", &body).await
    };
    let drawn = edit("gpt").await;
    assert_eq!(drawn.header("x-easel-served-by"), "fal/fal-ai/flux-pro/kontext=1", "{}", drawn.text());
    assert_eq!(drawn.header("x-easel-skipped"), "fal/fal-ai/flux-pro/v1/fill=mask_missing");
    assert_eq!(edit("fill").await.error(), (400, "unsupported_value".to_owned(), "mask".to_owned()));
    assert_eq!((world.bill(Name::Fal).calls, world.bill(Name::Fal).violations_total), (1, 0));
}

#[tokio::test]
async fn a_models_error_in_place_of_a_result_is_fetched_once_and_costs_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (noted, own) = (seen.clone(), format!("{base}fal-ai/flux/requests/7a1f"));
    let answer = move |method: Method, uri: Uri| async move {
        noted.lock().unwrap().push(format!("{method} {}", uri.path()));
        let word = if method == Method::POST { "IN_QUEUE" } else { "COMPLETED" };
        let queue = json!({"status": word, "request_id": "7a1f", "response_url": own,
            "status_url": format!("{own}/status"), "cancel_url": format!("{own}/cancel")});
        let error = json!({"detail": [{"loc": ["body"], "msg": "out of memory", "type": "internal_server_error"}]});
        match uri.path().ends_with("7a1f") {
            true => (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(error)),
            false => (StatusCode::OK, axum::Json(queue)),
        }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    let config = CONFIG.replace("${SANDBOX}/fal/", &base);
    let world = World::new(&config).await;
    let failed = world.draw(ask_with("a red fox", json!({"model": "flux"}))).await;
    assert_eq!(failed.status, 502, "{}", failed.text());
    let seen = seen.lock().unwrap().clone();
    let count = |call: &str| seen.iter().filter(|seen| *seen == call).count();
    // As often as a route asks one offer, each time for a request of its own.
    assert_eq!((count("POST /fal-ai/flux/schnell"), count("GET /fal-ai/flux/requests/7a1f")), (2, 2), "{seen:?}");
    assert!(world.gateway.shared.ledger.totals().into_iter().all(|(_, total)| total.usd == Usd::ZERO));
}
