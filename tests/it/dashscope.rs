//! DashScope as a provider against the sandbox that reads the same documents with other eyes: what is sent is taken,
//! what is charged is recorded, on both of its surfaces.

use easel::internals::provider::{Step, by_kind, capabilities};
use easel::internals::request::Edit;
use easel::sandbox::{Name, Sandbox, Settings};
use easel::{ImageRequest, Usd};
use serde_json::{Value, json};

use crate::exchange::{exchange, input, job};
use crate::world::{World, ask_with, pictures, plan};

const CONFIG: &str = "
providers:
  dashscope:
    kind: dashscope
    base_url: ${SANDBOX}/dashscope/
    api_key: sk-test
    timeout: 20s
    models:
      qwen-image: {price: 0.035}
      qwen-image-plus: {price: 0.03}
      qwen-image-max: {price: 0.075}
      qwen-image-2.0: {price: 0.035}
      qwen-image-2.0-pro: {price: 0.075}
      qwen-image-3.0: {price: 0.05}
      qwen-image-edit: {price: 0.045}
      qwen-image-edit-plus: {price: 0.03}
      qwen-image-edit-max: {price: 0.075}
      wan2.2-t2i-flash: {price: 0.025}
      wan2.5-t2i-preview: {price: 0.03}
      wan2.6-t2i: {price: 0.03}
      wan2.6-image: {price: 0.03}
      wan2.7-image: {price: 0.03}
      z-image-turbo: {price: 0.015}
routes:
  - {name: qwen, match: {models: [qwen]}, offers: [dashscope/qwen-image-2.0]}
  - {name: one, match: {models: [one]}, offers: [dashscope/qwen-image]}
  - {name: wan, match: {models: [wan]}, offers: [dashscope/wan2.2-t2i-flash]}
";

#[tokio::test]
async fn every_model_is_asked_in_a_form_that_the_strict_vendor_takes() {
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let plan = plan(CONFIG, &sandbox.url());
    let provider = &plan.providers["dashscope"];
    let kind = by_kind(provider.kind).unwrap();
    for model in provider.models.values() {
        let able = capabilities(kind, &provider.account, model);
        let mut wish = json!({"prompt": "a red fox", "n": able.max_n, "seed": u32::MAX, "quality": "high",
            "output_format": "png", "background": "opaque", "style": "vivid", "user": "u"});
        if able.negative_prompt {
            wish["negative_prompt"] = json!("text");
        }
        if model.name != "qwen-image-edit" {
            wish["size"] = json!("1000x1000");
        }
        let most = able.edit.map_or(0, |edit| usize::from(edit.images));
        let fewest = if able.generate { 0 } else { 1 };
        for images in [fewest, most] {
            let mut request = ImageRequest::from_json(wish.to_string().as_bytes()).unwrap();
            let images = vec![input(400, 500); images];
            request.edit = (!images.is_empty()).then_some(Edit { images, mask: None, fidelity: None });
            let job = job(provider, model, &request);
            let reply = exchange(&sandbox, &kind.ask(&job).unwrap()).await;
            let told = String::from_utf8_lossy(&reply.body);
            match kind.read(&job, &reply) {
                Step::Done(drawn) => assert_eq!(drawn.images.len(), usize::from(able.max_n), "{}", model.name),
                Step::Again { .. } => assert!(model.name.contains("-t2i-"), "{}: {told}", model.name),
                Step::Failed(failure) | Step::Lost { failure, .. } => panic!("{}: {failure}", model.name),
            }
        }
    }
    assert_eq!(sandbox.invoice().vendor(Name::DashScope).violations, [""; 0]);
}

fn prices() -> Settings {
    let prices = "{qwen-image: 0.035, qwen-image-2.0: 0.035, wan2.2-t2i-flash: 0.025}";
    serde_yaml::from_str(&format!("{{vendors: {{dashscope: {{price: {prices}}}}}}}")).unwrap()
}

async fn draw(world: &World, prompt: &str, model: &str, n: u8) -> Vec<(u32, u32)> {
    let wish: Value = json!({"model": model, "n": n});
    pictures(&world.draw(ask_with(prompt, wish)).await)
}

#[tokio::test]
async fn pictures_of_both_surfaces_are_delivered_and_recorded_as_charged() {
    let world = World::with(CONFIG, prices()).await;
    assert_eq!(draw(&world, "a red fox", "qwen", 2).await, [(1024, 1024); 2]);
    assert_eq!(draw(&world, "a red fox", "one", 2).await, [(1328, 1328); 2], "one a call, in the nearest size");
    assert_eq!(draw(&world, "a red fox", "wan", 2).await, [(1024, 1024); 2]);
    assert_eq!(world.bill(Name::DashScope).violations, [""; 0]);
    assert_eq!((world.spent(), world.invoiced()), (Usd::from_nanos(190_000_000), Usd::from_nanos(190_000_000)));
    for model in ["qwen", "wan"] {
        let refused = world.draw(ask_with("a forbidden fox", json!({"model": model}))).await;
        assert_eq!(refused.error(), (400, "moderation_blocked".to_owned(), String::new()), "{model}");
    }
    assert_eq!(world.spent(), world.invoiced());
}
