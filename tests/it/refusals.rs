//! Bad input: each answers quickly with the right 4xx in OpenAI's shape, names the field, costs nothing, and leaves the
//! connection usable where HTTP allows.

use easel::Usd;
use easel::sandbox::Name;
use serde_json::json;

use crate::client::Client;
use crate::world::{GENERATE, World, ask, ask_with, route, route_with};

#[tokio::test]
async fn each_mistake_in_a_body_is_a_400_that_names_the_field_on_a_connection_that_lives_on() {
    let world = World::new(&route(&["stability/core"])).await;
    let mut client = world.client().await;
    for (body, code, param) in [
        ("", "invalid_json", ""),
        ("{", "invalid_json", ""),
        ("[1]", "invalid_json", ""),
        ("{\"prompt\": \"x\", ", "invalid_json", ""),
        (r#"{"model":"m"}"#, "missing_required_parameter", "prompt"),
        (r#"{"model":"m","prompt":""}"#, "missing_required_parameter", "prompt"),
        (r#"{"model":"m","prompt":5}"#, "invalid_type", "prompt"),
        (r#"{"model":"m","prompt":"x","n":0}"#, "invalid_value", "n"),
        (r#"{"model":"m","prompt":"x","n":11}"#, "invalid_value", "n"),
        (r#"{"model":"m","prompt":"x","size":"0x0"}"#, "invalid_size", "size"),
        (r#"{"model":"m","prompt":"x","size":"banana"}"#, "invalid_size", "size"),
        (r#"{"model":"m","prompt":"x","sparkle":1}"#, "unknown_parameter", "sparkle"),
        (r#"{"model":"m","prompt":"x","stream":true,"response_format":"url"}"#, "unsupported_value", "response_format"),
    ] {
        client
            .send(
                "POST",
                GENERATE,
                &[("content-type", "application/json"), ("content-length", &body.len().to_string())],
                body.as_bytes(),
            )
            .await;
        let answer = client.receive().await.unwrap();
        assert_eq!(answer.error(), (400, code.into(), param.into()), "{body}");
    }
    let answer = client.post(GENERATE, &ask_with("x", json!({"model": "core"}))).await;
    assert_eq!(answer.error(), (404, "model_not_found".into(), "model".into()));
    client.send("POST", GENERATE, &[("content-type", "text/plain")], b"{}").await;
    assert_eq!(client.receive().await.unwrap().error().0, 415);
    client.send("POST", GENERATE, &[("content-type", "application/json"), ("content-encoding", "gzip")], b"{}").await;
    assert_eq!(client.receive().await.unwrap().error().2, "content-encoding");
    assert_eq!(client.get(GENERATE).await.error().0, 405);
    assert_eq!(client.get("/v1/chat/completions").await.error(), (404, "unknown_path".into(), String::new()));
    assert_eq!((world.bill(Name::Stability).calls, world.spent()), (0, Usd::ZERO));
}

#[tokio::test]
async fn what_headers_tell_of_a_hundred_offers_is_bounded_and_says_how_many_more_there_are() {
    let models: Vec<String> =
        (0..100).map(|nth| format!("a-model-of-a-long-name-{nth:03}: {{price: 9, sizes: any}}")).collect();
    let offers: Vec<String> = (0..100).map(|nth| format!("local/a-model-of-a-long-name-{nth:03}")).collect();
    let config = format!(
        "providers:\n  local: {{kind: openai_compatible, base_url: \"${{SANDBOX}}/compatible/v1/\", api_key: k, models: {{{}}}}}\n\
         routes: [{{name: r, offers: {}, price: {{max_usd_per_image: 0.01}}}}]\n",
        models.join(", "),
        json!(offers)
    );
    let answer = World::new(&config).await.draw(ask("a cat")).await;
    let told = answer.header("x-easel-skipped");
    assert_eq!((answer.error().1.as_str(), told.len() <= 1024), ("price_limit", true), "{told}");
    let (whole, more) = told.rsplit_once(",+").unwrap();
    assert!(whole.split(',').all(|item| item.ends_with("=over_price")), "{told}");
    assert_eq!(whole.split(',').count() + more.trim_end_matches(" more").parse::<usize>().unwrap(), 100, "{told}");
}

#[tokio::test]
async fn a_path_one_step_off_is_told_the_right_one_with_and_without_a_body() {
    let world = World::new(&route(&["stability/core"])).await;
    for (method, path, right) in [
        ("POST", "/images/generations", "'/v1/images/generations'"),
        ("POST", "/v1/images/generations/", "'/v1/images/generations'"),
        ("POST", "//v1/images/edits", "'/v1/images/edits'"),
        ("POST", "/openai/deployments/m/images/generations?api-version=2025-04-01-preview", "'/v1/images/generations'"),
        ("GET", "/v1/v1/models", "'/v1/models'"),
    ] {
        let mut client = world.client().await;
        let (headers, body): (&[_], &[u8]) = match method {
            "POST" => (&[("content-type", "application/json")], b"{\"prompt\": \"x\"}"),
            _ => (&[], b""),
        };
        client.send(method, path, headers, body).await;
        let answer = client.receive().await.unwrap();
        assert_eq!(answer.error(), (404, "unknown_path".into(), String::new()), "{path}");
        assert!(answer.text().contains(right) && !answer.text().contains("passthrough"), "{path}: {}", answer.text());
    }
    assert_eq!(world.bill(Name::Stability).calls, 0);
}

#[tokio::test]
async fn a_prompt_over_every_models_limit_is_told_the_limit() {
    let world = World::new(&route(&["stability/core", "openai/dall-e-3"])).await;
    let answer = world.draw(ask(&"a".repeat(20_000))).await;
    assert_eq!(answer.error(), (400, "unsupported_value".into(), "prompt".into()));
    assert!(answer.text().contains("at most 10000 characters"), "{}", answer.text());
    assert_eq!(answer.header("x-easel-skipped"), "stability/core=prompt_too_long,openai/dall-e-3=prompt_too_long");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let config = format!("server: {{limits: {{request_body: 1KiB}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    let mut client = world.client().await;
    let headers = [("content-type", "application/json"), ("content-length", "1000000")];
    client.send("POST", GENERATE, &headers, b"").await;
    let answer = client.receive().await.unwrap();
    assert_eq!((answer.error().0, answer.header("connection")), (413, "close"));

    let mut chunked = world.client().await;
    chunked
        .send("POST", GENERATE, &[("content-type", "application/json"), ("transfer-encoding", "chunked")], b"")
        .await;
    chunked.raw(format!("800\r\n{}\r\n", "a".repeat(0x800)).as_bytes()).await;
    assert_eq!(chunked.receive().await.unwrap().error().0, 413);
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for_and_one_cut_off_costs_nothing() {
    let config = format!("server: {{limits: {{body_timeout: 100ms}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    let mut client = world.client().await;
    let headers = [("content-type", "application/json"), ("content-length", "100")];
    client.send("POST", GENERATE, &headers, b"").await;
    assert_eq!(client.receive().await.unwrap().error().1, "body_timeout");

    let mut client = world.client().await;
    client.send("POST", GENERATE, &headers, b"{\"prompt\":").await;
    drop(client);
    assert_eq!(world.draw(ask("still here")).await.status, 200);
    assert_eq!(world.bill(Name::Stability).calls, 1);
}

#[tokio::test]
async fn a_flood_of_headers_is_cut_off_and_hurts_nobody_else() {
    let world = World::new(&route(&["stability/core"])).await;
    let mut client = world.client().await.lenient();
    let mut flood = String::from("POST /v1/images/generations HTTP/1.1\r\nhost: x\r\n");
    for number in 0..20_000 {
        flood.push_str(&format!("x-flood-{number}: {}\r\n", "y".repeat(100)));
    }
    client.raw(flood.as_bytes()).await;
    let answer = client.receive().await;
    assert!(answer.as_ref().is_none_or(|answer| (400..500).contains(&answer.status)), "{answer:?}");
    assert_eq!(world.draw(ask("still here")).await.status, 200);
}

#[tokio::test]
async fn only_a_fresh_link_of_ours_opens_a_picture() {
    let config = format!("server: {{link_ttl: 1h}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    let answer = world.draw(ask_with("a cat", json!({"response_format": "url"}))).await;
    let link = answer.json()["data"][0]["url"].as_str().unwrap().to_owned();
    let path = link.strip_prefix(&format!("http://{}", world.addr)).unwrap();
    let mut client = world.client().await;
    assert_eq!(client.get(path).await.status, 200);
    let (file, query) = path.split_once('?').unwrap();
    let name = file.rsplit('/').next().unwrap();
    let stale = world.gateway.snapshot().link_key.query(name, 1);
    let mut tampered = path.to_owned();
    let last = if tampered.pop() == Some('0') { '1' } else { '0' };
    tampered.push(last);
    for (path, expected) in [
        (tampered, (403, "bad_signature")),
        (file.to_owned(), (403, "bad_signature")),
        (format!("{file}?{}", query.replace("exp=", "exp=9")), (403, "bad_signature")),
        (format!("{file}?{stale}"), (403, "link_expired")),
        (format!("/v1/images/files/../../../etc/passwd?{query}"), (404, "file_not_found")),
        (format!("/v1/images/files/%2e%2e%2fetc%2fpasswd?{query}"), (404, "file_not_found")),
        (format!("/v1/images/files/?{query}"), (404, "file_not_found")),
    ] {
        let (status, code, _) = client.get(&path).await.error();
        assert_eq!((status, code.as_str()), expected, "{path}");
    }
    let gone = format!("{}.png", "0".repeat(32));
    let signed = world.gateway.snapshot().link_key.query(&gone, u64::MAX);
    let answer = client.get(&format!("/v1/images/files/{gone}?{signed}")).await;
    assert_eq!(answer.error().1, "file_not_found");
}

#[tokio::test]
async fn a_refusal_goes_back_at_once_and_no_other_provider_is_asked() {
    let world = World::new(&route(&["stability/core", "openai/gpt-image-2"])).await;
    let answer = world.draw(ask("something forbidden")).await;
    assert_eq!(answer.error().0, 400);
    assert_eq!(answer.json()["error"]["type"], "image_generation_user_error");
    assert_eq!(answer.json()["error"]["code"], "moderation_blocked");
    assert_eq!(world.bill(Name::OpenAi).calls, 0);
    assert_eq!(world.spent(), Usd::ZERO);

    let world = World::new(&route_with(&["stability/core", "openai/gpt-image-2"], "    refusals: next\n")).await;
    assert_eq!(world.draw(ask("something forbidden")).await.error().1, "moderation_blocked");
    assert_eq!((world.bill(Name::Stability).calls, world.bill(Name::OpenAi).calls), (1, 1));
}

#[tokio::test]
async fn a_picture_withheld_after_drawing_is_refused_and_its_cost_recorded() {
    let world = World::new(&route(&["stability/core"])).await;
    let answer = world.draw(ask("a blurred figure")).await;
    assert_eq!(answer.error().1, "moderation_blocked");
    assert_eq!(answer.header("x-easel-cost-usd"), "0.04");
    assert_eq!((world.spent(), world.invoiced()), ("0.04".parse().unwrap(), "0.04".parse().unwrap()));
    let again = world.draw(ask("a blurred figure")).await;
    assert_eq!(again.header("x-easel-cache"), "miss");
}

#[tokio::test]
async fn no_answer_shows_a_providers_key_or_address() {
    let world = World::new(&route(&["stability/core"])).await;
    world.set(Name::Stability, |vendor| vendor.key = Some("the-right-one".to_owned()));
    let answer = world.draw(ask("a cat")).await;
    assert_eq!(answer.error().0, 502);
    let page = world.metrics().await;
    let sandbox = world.sandbox.addr().port().to_string();
    for text in [answer.text(), format!("{:?}", answer.headers), page] {
        assert!(!text.contains("sk-test") && !text.contains(&sandbox), "{text}");
    }
}

#[tokio::test]
async fn one_request_too_many_in_flight_is_told_to_come_back() {
    let config = format!("server: {{limits: {{in_flight: 1}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    world.set(Name::Stability, |vendor| vendor.mode = easel::sandbox::Mode::Hang);
    let mut first = world.client().await;
    first.send("POST", GENERATE, &[("content-type", "application/json")], ask("slow").to_string().as_bytes()).await;
    world.sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    let answer = Client::connect(world.addr).await.post(GENERATE, &ask("second")).await;
    assert_eq!((answer.error().0, answer.header("retry-after")), (429, "1"));
}

#[tokio::test]
async fn a_short_request_of_an_old_client_is_answered() {
    let world = World::new(&route(&["stability/core"])).await;
    let mut client = world.client().await;
    client.raw(b"GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.receive().await.unwrap().error().0, 404);
}

#[tokio::test]
async fn too_busy_is_counted_and_told_like_any_other_answer() {
    let config = format!("server: {{limits: {{in_flight: 1}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    world.set(Name::Stability, |vendor| vendor.mode = easel::sandbox::Mode::Hang);
    let mut first = world.client().await;
    first.send("POST", GENERATE, &[("content-type", "application/json")], ask("slow").to_string().as_bytes()).await;
    world.sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    let answer = world.draw(ask("second")).await;
    assert_eq!((answer.status, answer.header("x-easel-request-id").len()), (429, 16));
    let page = world.metrics().await;
    for line in ["easel_requests_in_flight 1", "easel_requests_total{outcome=\"rate_limit_exceeded\",route=\"none\"} 1"]
    {
        assert!(page.contains(line), "{line} not in {page}");
    }
}
