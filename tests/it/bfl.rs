//! Black Forest Labs as a provider against the sandbox that reads the same documents with other eyes: what is sent is
//! taken, what is told once is recorded.

use easel::mask;
use easel::money::Usd;
use easel::provider::{Reported, Step, abilities, by_kind};
use easel::request::{Edit, ImageRequest, Mask};
use easel::sandbox::{Mode, Name, Sandbox, Settings};
use serde_json::{Value, json};

use crate::exchange::{exchange, half_clear, job};
use crate::world::{World, ask_with, pictures, plan};

const CONFIG: &str = "
providers:
  bfl:
    kind: bfl
    base_url: ${SANDBOX}/bfl/
    api_key: bfl-test
    timeout: 20s
    models:
      flux-2-pro: {price: 0.03}
      flux-2-max: {price: 0.07}
      flux-2-flex: {price: 0.05, options: {steps: 30, guidance: 4.5, prompt_upsampling: false}}
      flux-2-klein-4b: {price: 0.014}
      flux-2-klein-9b: {price: 0.015}
      flux-pro-1.1: {price: 0.04}
      flux-pro-1.1-ultra: {price: 0.06, options: {raw: true}}
      flux-dev: {price: 0.025}
      flux-kontext-pro: {price: 0.04}
      flux-kontext-max: {price: 0.08}
      flux-pro-1.0-fill: {price: 0.05}
routes:
  - {name: two, match: {models: [two]}, offers: [bfl/flux-2-pro]}
  - {name: ultra, match: {models: [ultra]}, offers: [bfl/flux-pro-1.1-ultra]}
";

fn edit(images: usize, masked: bool) -> Edit {
    let clear = half_clear(400, 500);
    let mask = masked.then(|| Mask { white: mask::white(&clear.bytes).unwrap(), clear });
    Edit { images: vec![half_clear(400, 500); images], mask, fidelity: None }
}

#[tokio::test]
async fn every_model_is_asked_in_a_form_that_the_strict_vendor_takes() {
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let plan = plan(CONFIG, &sandbox.url());
    let provider = &plan.providers["bfl"];
    let kind = by_kind(provider.kind).unwrap();
    for model in provider.models.values() {
        let able = abilities(kind, &provider.account, model);
        let most = able.edit.map_or(0, |edit| usize::from(edit.images));
        let starts = [(0, false), (1, false), (most, false), (1, true)];
        let can = |images: usize, masked: bool| match able.edit {
            _ if images == 0 => able.generate,
            Some(edit) => edit.mask || !masked,
            None => false,
        };
        for (images, masked) in starts.into_iter().filter(|(images, masked)| can(*images, *masked)) {
            for format in &able.formats {
                let wish = json!({"prompt": "a red fox", "size": "1000x1000", "seed": u32::MAX, "quality": "high",
                    "output_format": format.word(), "background": "opaque", "moderation": "low", "user": "u"});
                let mut request = ImageRequest::from_json(wish.to_string().as_bytes()).unwrap();
                request.edit = (images > 0).then(|| edit(images, masked));
                let job = job(provider, model, &request);
                let reply = exchange(&sandbox, &kind.ask(&job).unwrap()).await;
                let step = kind.read(&job, &reply);
                let Step::Again { noted, .. } = step else { panic!("{} {images} {masked}: {step:?}", model.name) };
                assert_eq!(noted, Some(Reported::Cents("4.0".to_owned())), "{}", model.name);
            }
        }
    }
    let bill = sandbox.until(Name::Bfl, |bill| bill.in_flight == 0).await;
    assert_eq!((bill.violations, bill.pictures), (Vec::new(), bill.calls));
}

async fn draw(world: &World, prompt: &str, more: Value) -> Vec<(u32, u32)> {
    pictures(&world.draw(ask_with(prompt, more)).await)
}

#[tokio::test]
async fn what_was_told_when_a_task_was_taken_on_is_recorded_when_its_picture_is_there() {
    // Not the price in the config, and less than a cent's millionth.
    let prices = "{flux-2-pro: 0.000000301, flux-pro-1.1-ultra: 0.061}";
    let settings = format!("{{vendors: {{bfl: {{price: {prices}, latency: 20ms}}}}}}");
    let world = World::with(CONFIG, serde_yaml::from_str(&settings).unwrap()).await;
    assert_eq!(draw(&world, "a red fox", json!({"model": "two", "n": 2})).await, [(1024, 1024); 2]);
    assert_eq!(draw(&world, "a red fox", json!({"model": "ultra"})).await, [(2048, 2048)]);
    assert_eq!(world.bill(Name::Bfl).violations, [""; 0]);
    assert_eq!((world.spent(), world.invoiced()), (Usd::from_nanos(61_000_602), Usd::from_nanos(61_000_602)));
}

#[tokio::test]
async fn a_refused_task_is_the_callers_and_costs_nothing_and_a_broken_picture_is_recorded_as_charged() {
    let world = World::new(CONFIG).await;
    for prompt in ["a forbidden fox", "a fox"] {
        let refused = world.draw(ask_with(prompt, json!({"model": "two"}))).await;
        assert_eq!(refused.error(), (400, "moderation_blocked".to_owned(), String::new()), "{prompt}");
        assert_eq!((world.spent(), world.invoiced()), (Usd::ZERO, Usd::ZERO));
        world.set(Name::Bfl, |vendor| vendor.mode = Mode::Refusing);
    }
    world.set(Name::Bfl, |vendor| vendor.mode = Mode::Truncated);
    let broken = world.draw(ask_with("another fox", json!({"model": "two"}))).await;
    assert_eq!(broken.status, 502);
    // Asked twice, as often as the route allows, and charged both times.
    assert_eq!((world.spent(), world.invoiced()), (Usd::from_nanos(80_000_000), Usd::from_nanos(80_000_000)));
}
