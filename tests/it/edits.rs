//! Edits and variations, over real sockets: what a client sends as a form or as JSON, and what the provider gets.

use base64_simd::STANDARD;
use easel::Usd;
use easel::sandbox::Name;
use image::{Rgba, RgbaImage};
use serde_json::{Value, json};

use crate::client::Answer;
use crate::exchange;
use crate::world::{World, pictures};

const EDIT: &str = "/v1/images/edits";
const VARY: &str = "/v1/images/variations";

const CONFIG: &str = "
providers:
  openai:
    kind: openai
    base_url: ${SANDBOX}/openai/v1/
    api_key: sk-test
    models: {gpt-image-2: {price: 0.04}, dall-e-3: {price: 0.04}}
  stability:
    kind: stability
    base_url: ${SANDBOX}/stability/
    api_key: sk-test
    models: {stable-diffusion-xl-1024-v1-0: {price: 0.04}}
routes:
  - {name: edits, match: {models: [m]}, offers: [stability/stable-diffusion-xl-1024-v1-0, openai/gpt-image-2], cache: {edits: true}}
  - {name: personal, match: {models: [personal]}, offers: [openai/gpt-image-2]}
  - {name: blind, match: {models: [blind]}, offers: [openai/dall-e-3]}
";

/// A PNG of one colour and one alpha.
fn png(side: u32, alpha: u8) -> Vec<u8> {
    exchange::png(RgbaImage::from_pixel(side, side, Rgba([200, 30, 30, alpha]))).into()
}

enum Field<'a> {
    Text(&'a str, &'a str),
    File(&'a str, Vec<u8>),
}

use Field::{File, Text};

fn form(fields: &[Field<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for field in fields {
        let (head, value) = match field {
            Text(name, value) => (format!("name=\"{name}\""), value.as_bytes()),
            File(name, bytes) => {
                (format!("name=\"{name}\"; filename=\"a.png\"\r\ncontent-type: image/png"), &bytes[..])
            }
        };
        body.extend(format!("--cut\r\ncontent-disposition: form-data; {head}\r\n\r\n").into_bytes());
        body.extend(value);
        body.extend(b"\r\n");
    }
    body.extend(b"--cut--\r\n");
    body
}

async fn send(world: &World, path: &str, fields: &[Field<'_>]) -> Answer {
    let mut client = world.client().await;
    client.send("POST", path, &[("content-type", "multipart/form-data; boundary=cut")], &form(fields)).await;
    client.receive().await.unwrap()
}

fn data_url(bytes: &[u8]) -> Value {
    json!({"image_url": format!("data:image/png;base64,{}", STANDARD.encode_to_string(bytes))})
}

#[tokio::test]
async fn a_form_that_wants_a_transparent_jpeg_is_refused_before_anybody_is_asked() {
    let world = World::new(CONFIG).await;
    let wish = [("prompt", "a hat"), ("model", "m"), ("background", "transparent"), ("output_format", "jpeg")];
    let mut fields: Vec<Field<'_>> = wish.iter().map(|(name, value)| Text(name, value)).collect();
    fields.push(File("image", png(64, 255)));
    let answer = send(&world, EDIT, &fields).await;
    assert_eq!(answer.error(), (400, "invalid_value".into(), "background".into()), "{}", answer.text());
    assert_eq!(world.invoiced(), Usd::ZERO);
}

#[tokio::test]
async fn an_edit_goes_to_the_first_who_can_change_pictures_and_is_found_again_by_its_pictures() {
    let world = World::new(CONFIG).await;
    let edit = |side: u32| {
        [
            Text("model", "m"),
            Text("prompt", "a blue hat"),
            Text("n", "2"),
            Text("size", "1024x1024"),
            File("image[]", png(side, 255)),
            File("image[]", png(8, 255)),
            File("mask", png(side, 0)),
        ]
    };
    let first = send(&world, EDIT, &edit(16)).await;
    assert_eq!(pictures(&first), [(1024, 1024); 2], "{}", first.text());
    assert_eq!(first.header("x-easel-served-by"), "openai/gpt-image-2=2");
    assert_eq!(first.header("x-easel-skipped"), "stability/stable-diffusion-xl-1024-v1-0=too_many_images");
    let again = send(&world, EDIT, &edit(16)).await;
    assert_eq!((again.header("x-easel-cache"), again.header("x-easel-cost-usd")), ("exact", "0"));
    let other = send(&world, EDIT, &edit(24)).await;
    assert_eq!(other.header("x-easel-cache"), "miss", "another picture is another request");
    let drawn = world.draw(json!({"model": "m", "prompt": "a blue hat", "size": "1024x1024"})).await;
    assert_eq!(drawn.header("x-easel-served-by"), "stability/stable-diffusion-xl-1024-v1-0=1");
    assert_eq!((world.bill(Name::OpenAi).violations_total, world.bill(Name::OpenAi).pictures), (0, 4));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn what_is_made_of_callers_own_pictures_is_reused_only_where_the_route_says_so() {
    let world = World::new(CONFIG).await;
    let edit = || [Text("model", "personal"), Text("prompt", "a blue hat"), File("image", png(16, 255))];
    let fields = edit();
    let (first, same) = tokio::join!(send(&world, EDIT, &fields), send(&world, EDIT, &fields));
    let mut words = [first.header("x-easel-cache"), same.header("x-easel-cache")];
    words.sort_unstable();
    assert_eq!(words, ["bypass", "joined"], "one that is under way is joined");
    let again = send(&world, EDIT, &edit()).await;
    assert_eq!((again.header("x-easel-cache"), again.header("x-easel-cost-usd")), ("bypass", "0.04"));
    assert_eq!(world.bill(Name::OpenAi).pictures, 2);
    let drawn = || json!({"model": "personal", "prompt": "a blue hat", "size": "1024x1024"});
    assert_eq!(world.draw(drawn()).await.header("x-easel-cache"), "miss");
    assert_eq!(world.draw(drawn()).await.header("x-easel-cache"), "exact", "without pictures it is reused as ever");
}

#[tokio::test]
async fn json_with_data_urls_means_the_same_as_a_form() {
    let world = World::new(CONFIG).await;
    let body = json!({"model": "m", "prompt": "a blue hat", "images": [data_url(&png(16, 255))],
        "mask": data_url(&png(16, 0)), "response_format": "url"});
    let answer = world.client().await.post(EDIT, &body).await;
    let link = answer.json()["data"][0]["url"].as_str().unwrap().to_owned();
    let path = link.split_once("/v1/").map(|(_, path)| format!("/v1/{path}")).unwrap();
    let file = world.client().await.get(&path).await;
    assert!(image::load_from_memory(&file.body).is_ok());
    let fields =
        [Text("model", "m"), Text("prompt", "a blue hat"), File("image", png(16, 255)), File("mask", png(16, 0))];
    assert_eq!(send(&world, EDIT, &fields).await.header("x-easel-cache"), "exact");
}

#[tokio::test]
async fn a_variation_is_drawn_by_who_can_edit_and_is_a_plain_404_where_nobody_can() {
    let world = World::new(CONFIG).await;
    let vary = |model| [Text("model", model), Text("n", "2"), File("image", png(16, 255))];
    let answer = send(&world, VARY, &vary("m")).await;
    assert_eq!((pictures(&answer).len(), answer.header("x-easel-attempts")), (2, "1"));
    let blind = send(&world, VARY, &vary("blind")).await;
    assert_eq!(blind.error(), (404, "model_not_found".to_owned(), "model".to_owned()));
    assert_eq!(world.spent(), Usd::from_nanos(80_000_000));
}

#[tokio::test]
async fn each_mistake_in_an_edit_names_its_field_costs_nothing_and_leaves_the_connection_usable() {
    let world = World::new(CONFIG).await;
    let prompt = || Text("prompt", "x");
    let whole = png(16, 255);
    let cut = whole[..whole.len() - 20].to_vec();
    let mut client = world.client().await;
    for (path, fields, status, param) in [
        (EDIT, vec![prompt()], 400, "image"),
        (EDIT, vec![File("image", png(16, 255))], 400, "prompt"),
        (EDIT, vec![prompt(), File("image", b"<html>".to_vec())], 400, "image"),
        (EDIT, vec![prompt(), File("image", cut)], 400, "image"),
        (EDIT, vec![prompt(), File("image", png(16, 255)), File("mask", png(8, 0))], 400, "mask"),
        (EDIT, vec![prompt(), File("image", png(16, 255)), Text("n", "0")], 400, "n"),
        (EDIT, vec![prompt(), File("image", png(16, 255)), Text("imgae", "x")], 400, "imgae"),
        (VARY, vec![prompt(), File("image", png(16, 255))], 400, "prompt"),
    ] {
        let headers = [("content-type", "multipart/form-data; boundary=cut")];
        client.send("POST", path, &headers, &form(&fields)).await;
        let (told, _, field) = client.receive().await.unwrap().error();
        assert_eq!((told, field.as_str()), (status, param));
    }
    client.send("POST", EDIT, &[("content-type", "multipart/form-data")], b"x").await;
    assert_eq!(client.receive().await.unwrap().error().0, 415);
    client.send("POST", VARY, &[("content-type", "application/json")], b"{}").await;
    assert_eq!(client.receive().await.unwrap().error().0, 415);
    let body = json!({"prompt": "x", "images": [{"image_url": "http://127.0.0.1/a.png"}]});
    assert_eq!(client.post(EDIT, &body).await.error().2, "images[0]");
    assert_eq!(world.spent(), Usd::ZERO);
    assert_eq!(world.bill(Name::OpenAi).calls, 0);
}
