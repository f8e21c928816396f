//! The page for people on call: its figures are the ledger's, it loads nothing from elsewhere, and it shows no secret.

use easel::sandbox::{Mode, Name};
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::world::{World, ask, ask_with, route, route_with};

/// The text between the tags of the element with this id, entities as they stand.
fn text_of(page: &str, id: &str) -> String {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}: {page}"));
    let (_, rest) = rest.split_once('>').unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

async fn get(world: &World, path: &str) -> Answer {
    Client::connect(world.admin).await.get(path).await
}

/// The page, asked for with these headers.
async fn get_with(world: &World, headers: &[(&str, &str)]) -> Answer {
    let mut client = Client::connect(world.admin).await;
    client.send("GET", "/", headers, b"").await;
    client.receive().await.unwrap()
}

/// The page, once it tells of so many requests: the last lines are written behind the last bytes of the answers.
async fn page(world: &World, requests: usize) -> String {
    loop {
        let page = get(world, "/").await;
        assert_eq!(page.status, 200, "{}", page.text());
        if page.text().matches("<a href=\"/requests/").count() >= requests {
            return page.text();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_figures_of_the_page_are_those_of_the_ledger() {
    let budget = "    price: {budget: {usd: 5, per: month}}\n    attempts: {max: 4, per_offer: 1}\n";
    let alerts = "alerts: [{name: cost-drift, when: cost_per_accepted_usd > 0.012, by: provider}]\n";
    let offers = ["stability/core", "openai/gpt-image-2"];
    let world = World::new(&format!("{}{alerts}", route_with(&offers, budget))).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Down500);
    world.draw(ask("a fox")).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Normal);
    let drawn = world.draw(ask_with("a hen", json!({"n": 2}))).await;
    let hit = world.draw(ask_with("a hen", json!({"n": 2}))).await;
    assert_eq!(hit.header("x-easel-cache"), "exact");
    let rejected = drawn.header("x-easel-image-ids").split(',').next().unwrap().to_owned();
    let verdict = json!({"image_id": rejected, "verdict": "rejected"});
    assert_eq!(world.client().await.post("/v1/images/feedback", &verdict).await.status, 200);
    world.settled().await;
    let month = get(&world, &format!("/admin/ledger?by=provider&month={}", this_month())).await.json();
    let total = &month["total"];
    let page = page(&world, 3).await;
    let usd = |field: &str| format!("${}", total[field].as_str().unwrap());
    for when in ["today", "month"] {
        assert_eq!(text_of(&page, &format!("spend-{when}")), usd("usd"), "{total}");
        assert_eq!(text_of(&page, &format!("accepted-{when}")), usd("cost_per_accepted_usd"), "{total}");
    }
    assert_eq!((total["accepted"].as_u64(), total["rejected"].as_u64()), (Some(2), Some(1)));
    assert!(page.contains("2 of 3 (66.6%)") && page.contains("cost-drift: $0.012"), "{page}");
    let saved = format!("would have cost <strong>{}</strong>", usd("saved_usd"));
    assert!(page.contains(&saved), "{saved}: {page}");
    let budgets = get(&world, "/metrics").await.text();
    assert!(
        budgets.contains("easel_budget_remaining_usd{per=\"month\",scope=\"route:r\",zone=\"UTC\"} 4.88"),
        "{budgets}"
    );
    assert!(page.contains("<td class=\"number\">$4.88</td>"), "{page}");
    for told in ["not asked openai/gpt-image-2: its turn did not come", "asked stability/core (first): server_error"] {
        assert!(page.contains(told), "{told}: {page}");
    }
}

fn this_month() -> String {
    humantime::format_rfc3339(std::time::SystemTime::now()).to_string()[..7].to_owned()
}

#[tokio::test]
async fn a_request_has_a_page_of_its_own_and_one_that_nobody_knows_has_a_sentence() {
    let world = World::new(&route(&["stability/core"])).await;
    let drawn = world.draw(ask("a fox")).await;
    let id = drawn.header("x-easel-request-id").to_owned();
    world.settled().await;
    let told = loop {
        let page = get(&world, &format!("/requests/{id}")).await;
        if page.status == 200 && page.text().contains("answered 200") {
            break page.text();
        }
        tokio::task::yield_now().await;
    };
    assert!(text_of(&told, "total").starts_with("$0.04 on the invoice, $0 out of commitments"), "{told}");
    assert!(told.contains(drawn.header("x-easel-image-ids")), "{told}");
    let unknown = get(&world, "/requests/abc").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("Nothing is known of a request &#39;abc&#39;") || unknown.text().contains("'abc'"));
    let hostile = get(&world, "/requests/%3Cscript%3E").await;
    assert!(hostile.status == 404 && !hostile.text().contains("<script>"), "{}", hostile.text());
}

#[tokio::test]
async fn what_a_client_writes_is_text_on_the_page_and_nothing_is_loaded_from_elsewhere() {
    let log = "server: {log: {prompts: true}}\n";
    let world = World::new(&format!("{log}{}", route(&["stability/core"]))).await;
    let script = "<script>alert(1)</script>\"'&";
    world.draw(ask_with(script, json!({"model": "<b>m"}))).await;
    world.draw(ask(script)).await;
    let text = page(&world, 2).await;
    assert!(
        text.contains("&lt;script&gt;alert(1)") && !text.contains("<script>alert") && !text.contains("<b>m"),
        "{text}"
    );
    assert!(
        !text.contains("style=\"") && !text.contains("onclick") && !text.contains("http://www.w3.org/1999"),
        "{text}"
    );
    let page = get(&world, "/").await;
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for (attribute, loaded) in [("href=\"", "stylesheet"), ("src=\"", "script")] {
        for place in text.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(place.starts_with('/') || place.starts_with('#'), "{loaded}: {place}");
        }
    }
    for (path, media_type) in [
        ("/dashboard.css", "text/css; charset=utf-8"),
        ("/dashboard.js", "text/javascript; charset=utf-8"),
        ("/dashboard.svg", "image/svg+xml"),
    ] {
        let asset = get(&world, path).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, media_type), "{path}");
    }
    let wrong = get(&world, "/?zone=Mars/Base").await;
    assert_eq!((wrong.status, &wrong.json()["error"]["param"]), (400, &json!("zone")));
    assert_eq!(get(&world, "/?zone=Asia/Kolkata").await.status, 200);
    assert_eq!(get(&world, "/?x=1").await.json()["error"]["code"], "unknown_parameter");
}

#[tokio::test]
async fn with_a_token_a_browser_asks_for_it_and_the_config_is_shown_without_its_secrets() {
    let config = format!("server: {{admin_token: tok-planted}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    let mut client = Client::connect(world.admin).await;
    for path in ["/", "/requests/abc", "/dashboard.css"] {
        let closed = client.get(path).await;
        assert_eq!(closed.status, 401, "{path}");
        assert!(closed.header("www-authenticate").starts_with("Basic realm="), "{path}");
    }
    let basic = |pair: &str| format!("Basic {}", base64_simd::STANDARD.encode_to_string(pair));
    let with = async |value: &str| get_with(&world, &[("authorization", value)]).await;
    for wrong in [basic("tok-planted:x"), basic("tok-planted"), "Basic !".to_owned(), basic(":")] {
        assert_eq!(with(&wrong).await.status, 401, "{wrong}");
    }
    let page = with(&basic("anybody:tok-planted")).await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains("kind: stability") && text.contains("api_key: ******"), "{text}");
    for secret in ["sk-test", "r8-test", "tok-planted"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(with("Bearer tok-planted").await.status, 200);
}

#[tokio::test]
async fn the_last_change_of_the_config_is_shown_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = easel::sandbox::Sandbox::start(([127, 0, 0, 1], 0).into(), Default::default()).await.unwrap();
    let path = crate::commands::config(folder.path(), &route(&["stability/core"]));
    let served = crate::commands::Served::start(&path, &sandbox.url(), &[], std::process::Stdio::null());
    let page = async || Client::connect(served.admin).await.get("/").await.text();
    assert!(page().await.contains("It has not changed since the start."));
    crate::commands::config(folder.path(), &route(&["stability/core", "openai/gpt-image-2"]));
    served.signal("HUP");
    let changed = loop {
        let page = page().await;
        if page.contains("made it version") {
            break page;
        }
    };
    assert!(changed.contains("Changed: routes[r].offers."), "{changed}");
    assert!(changed.contains("+    offers: [&quot;stability/core&quot;,&quot;openai/gpt-image-2&quot;]"), "{changed}");
    crate::commands::config(folder.path(), &route(&["stability/croe"]));
    served.signal("HUP");
    while !page().await.contains("is not in force:") {}
    assert!(page().await.contains("Version 2 is in force."));
}

#[tokio::test]
async fn a_browser_gets_the_page_compressed() {
    let world = World::new(&route(&["stability/core"])).await;
    let page = get_with(&world, &[("accept-encoding", "gzip, deflate, br")]).await;
    assert_eq!(page.header("content-encoding"), "gzip");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&page.body[..]), &mut text).unwrap();
    assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>"), "{text}");
    let listed: Value = get(&world, "/admin/requests").await.json();
    assert_eq!(listed["requests"], json!([]));
}

#[tokio::test]
async fn pictures_are_shown_in_small_only_where_the_config_says_so() {
    let closed = World::new(&route(&["stability/core"])).await;
    let drawn = closed.draw(ask("a fox")).await;
    let hidden = page(&closed, 1).await;
    assert!(!hidden.contains("Recent pictures"), "{hidden}");
    let small = format!("/pictures/{}.png", drawn.header("x-easel-image-ids"));
    assert_eq!(get(&closed, &small).await.status, 404);

    let open = format!("server: {{dashboard: {{pictures: true}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&open).await;
    let drawn = world.draw(ask_with("a fox", json!({"n": 2}))).await;
    let hit = world.draw(ask_with("a fox", json!({"n": 2}))).await;
    assert_eq!(hit.header("x-easel-cache"), "exact");
    let shown = page(&world, 2).await;
    assert_eq!(shown.matches("<img ").count(), 2, "a hit shows nothing anew: {shown}");
    for id in drawn.header("x-easel-image-ids").split(',') {
        let picture = get(&world, &format!("/pictures/{id}.png")).await;
        assert_eq!((picture.status, picture.header("content-type")), (200, "image/png"));
        let decoded = image::load_from_memory(&picture.body).unwrap();
        assert!((decoded.width(), decoded.height()) == (64, 64) && picture.body.len() < 16 * 1024);
    }
    assert_eq!(get(&world, "/pictures/../etc/passwd.png").await.status, 404);
}
