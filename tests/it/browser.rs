//! Web pages: which are turned away before anything is paid, and which are let in.

use easel::sandbox::Name;
use serde_json::json;

use crate::client::{Answer, Client};
use crate::world::{GENERATE, World, ask, ask_with, route};

const EVIL: (&str, &str) = ("origin", "http://evil.example");
const UI: (&str, &str) = ("origin", "http://ui.test:3000");

fn with_server(more: &str) -> String {
    format!("server: {{{more}}}\n{}", route(&["stability/core"]))
}

async fn asked(world: &World, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut client = world.client().await;
    client.send(method, path, headers, b"").await;
    client.receive().await.unwrap()
}

/// A form as a page sends it without asking first.
async fn form(world: &World, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("content-type", "multipart/form-data; boundary=x")];
    all.extend_from_slice(headers);
    let mut client = world.client().await;
    client
        .send("POST", "/v1/images/edits", &all, b"--x\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\na")
        .await;
    client.receive().await.unwrap()
}

#[tokio::test]
async fn no_page_of_elsewhere_buys_a_picture_and_every_program_does() {
    let world = World::new(&route(&["stability/core"])).await;
    let rebound = [("host", "evil.example:8080"), ("origin", "http://evil.example:8080")];
    for (headers, code, param) in [
        (&[EVIL, ("sec-fetch-site", "cross-site")][..], "foreign_origin", "origin"),
        (&[("origin", "null")], "foreign_origin", "origin"),
        (&[("sec-fetch-site", "cross-site")], "cross_site", "sec-fetch-site"),
        (&rebound, "foreign_host", "host"),
    ] {
        for answer in [form(&world, headers).await, world.draw_with(ask("a fox"), headers).await] {
            assert_eq!(answer.error(), (403, code.to_owned(), param.to_owned()), "{}", answer.text());
            assert_eq!(answer.header("x-should-retry"), "false");
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
        let page = world.metrics().await;
        assert!(page.contains(&format!("outcome=\"{code}\",route=\"none\"}}")), "{page}");
    }
    assert_eq!(asked(&world, "GET", "/v1/models", &rebound).await.status, 403);
    assert_eq!(world.bill(Name::Stability).calls, 0);
    for host in ["easel:8080", "localhost", "127.0.0.1:1", "host.docker.internal:8080"] {
        let answer = world.draw_with(ask("a fox"), &[("host", host)]).await;
        assert_eq!(answer.status, 200, "{host}: {}", answer.text());
    }
    let own = [("host", "localhost:8080"), ("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")];
    assert_eq!(world.draw_with(ask("a fox"), &own).await.status, 200);
}

#[tokio::test]
async fn a_page_is_turned_away_before_its_body_is_read() {
    let world = World::new(&route(&["stability/core"])).await;
    let mut client = world.client().await;
    let headers = [EVIL, ("content-type", "application/json"), ("content-length", "1000000")];
    client.send("POST", GENERATE, &headers, b"").await;
    let answer = client.receive().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (403, "close"));
}

#[tokio::test]
async fn a_picture_that_was_drawn_for_somebody_is_shown_by_any_page_that_has_its_link() {
    let world = World::new(&route(&["stability/core"])).await;
    let drawn = world.draw(ask_with("a fox", json!({"response_format": "url"}))).await.json();
    let link = drawn["data"][0]["url"].as_str().unwrap().to_owned();
    let path = &link[link.find("/v1/").unwrap()..];
    let shown = asked(&world, "GET", path, &[("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "image")]).await;
    assert_eq!(shown.status, 200);
}

#[tokio::test]
async fn a_page_that_the_config_names_asks_first_then_draws_and_reads_the_headers() {
    let world = World::new(&with_server("cors: {origins: ['http://UI.test:3000']}")).await;
    let question = [
        UI,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,x-stainless-os"),
    ];
    let told = asked(&world, "OPTIONS", GENERATE, &question).await;
    assert_eq!((told.status, told.header("content-length")), (204, ""));
    for (name, value) in [
        ("access-control-allow-origin", "http://ui.test:3000"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization,x-stainless-os"),
        ("access-control-allow-credentials", ""),
        ("vary", "Origin"),
    ] {
        assert_eq!(told.header(name), value, "{name}");
    }
    let site = ("sec-fetch-site", "cross-site");
    let streamed = ask_with("a hen", json!({"stream": true}));
    let wrong = json!({"model": "m", "prompt": ""});
    for (body, status) in [(ask("a fox"), 200), (streamed, 200), (wrong, 400)] {
        let answer = world.draw_with(body, &[UI, site]).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, "http://ui.test:3000"));
        let readable = answer.header("access-control-expose-headers");
        let told = answer.headers.keys().filter(|name| name.starts_with("x-"));
        assert!(told.clone().count() > 0 && told.clone().all(|name| readable.contains(name.as_str())), "{answer:?}");
    }
    let question = [EVIL, ("access-control-request-method", "POST")];
    for answer in [asked(&world, "OPTIONS", GENERATE, &question).await, world.draw_with(ask("x"), &[EVIL]).await] {
        assert_eq!(answer.error().1, "foreign_origin");
        assert_eq!((answer.header("access-control-allow-origin"), answer.header("vary")), ("", "Origin"));
    }
    assert_eq!(world.draw(ask("a fox")).await.header("vary"), "Origin", "a cache may keep it");
}

#[tokio::test]
async fn without_pages_in_the_config_a_browser_is_told_nothing() {
    let world = World::new(&route(&["stability/core"])).await;
    let told = asked(&world, "OPTIONS", GENERATE, &[UI, ("access-control-request-method", "POST")]).await;
    assert_eq!((told.status, told.header("vary")), (405, ""));
}

#[tokio::test]
async fn what_was_paid_is_read_by_a_name_of_this_machine_alone() {
    let world = World::new(&with_server("hosts: [ops.test]")).await;
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let mut client = Client::connect(world.admin).await;
        client.send("GET", path, headers, b"").await;
        client.receive().await.unwrap()
    };
    for path in ["/metrics", "/admin/ledger"] {
        for host in ["127.0.0.1:9901", "[::1]:9901", "localhost", "OPS.test:9901"] {
            assert_eq!(get(path, &[("host", host)]).await.status, 200, "{path} {host}");
        }
        let no = get(path, &[("host", "evil.example")]).await;
        assert_eq!(no.error(), (403, "foreign_host".to_owned(), "host".to_owned()), "{path}");
        assert_eq!(get(path, &[("host", "localhost"), EVIL]).await.error().1, "foreign_origin", "{path}");
    }
    assert_eq!(get("/healthz", &[("host", "evil.example")]).await.status, 200);
}

#[tokio::test]
async fn where_clients_have_keys_a_page_with_a_key_is_served_and_only_the_ledger_asks_for_the_host() {
    // The SHA-256 of `key`.
    let hash = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
    let config = format!("clients: [{{name: web, key_sha256: {hash}}}]\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    let answer = world.draw_with(ask("a fox"), &[EVIL, ("authorization", "Bearer key")]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.draw_with(ask("a fox"), &[EVIL]).await.status, 401);
    let mut client = Client::connect(world.admin).await;
    client.send("GET", "/admin/ledger", &[("host", "evil.example")], b"").await;
    assert_eq!(client.receive().await.unwrap().status, 403);
}

/// Everything that the operator's listener answers, and how it is asked for.
const OPERATORS: [(&str, &str); 13] = [
    ("GET", "/"),
    ("GET", "/dashboard.css"),
    ("GET", "/metrics"),
    ("GET", "/admin/ledger"),
    ("GET", "/admin/requests"),
    ("GET", "/admin/cache"),
    ("GET", "/admin/cache/equivalences"),
    ("GET", "/admin/cache/shadow"),
    ("POST", "/admin/explain"),
    ("POST", "/admin/cache/purge"),
    ("POST", "/admin/cache/equivalences"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
];

/// An answer of the operator's listener.
async fn operator(world: &World, (method, path): (&str, &str), headers: &[(&str, &str)]) -> Answer {
    let mut client = Client::connect(world.admin).await;
    client.send(method, path, headers, b"").await;
    client.receive().await.unwrap()
}

#[tokio::test]
async fn no_get_changes_anything_and_no_page_of_elsewhere_reaches_what_does_token_or_not() {
    let token = [("authorization", "Bearer t0ken")];
    for (more, with) in [("", &[][..]), ("admin_token: t0ken", &token)] {
        let world = World::new(&with_server(more)).await;
        let here = operator(&world, ("GET", "/nothing"), &[]).await.text();
        let told = here.split_whitespace().filter(|word| word.starts_with('/'));
        for path in told {
            assert!(OPERATORS.iter().any(|(_, known)| *known == path), "no test asks for {path}");
        }
        for (method, path) in OPERATORS {
            let changes = method == "POST";
            // Each other method is refused, but for the one list that may be read and changed.
            for other in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
                if !OPERATORS.contains(&(other, path)) {
                    assert_eq!(operator(&world, (other, path), with).await.status, 405, "{other} {path}");
                }
            }
            let health = matches!(path, "/healthz" | "/readyz");
            for (page, code) in [
                (&[EVIL, ("sec-fetch-site", "cross-site")][..], "foreign_origin"),
                (&[("origin", "http://127.0.0.1:3000"), ("sec-fetch-site", "same-site")], "foreign_origin"),
                (&[("origin", "null")], "foreign_origin"),
                (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], "cross_site"),
                (&[("host", "evil.example"), ("origin", "http://evil.example")], "foreign_host"),
                (&[("host", "evil.example"), ("sec-fetch-site", "same-origin")], "foreign_host"),
            ] {
                let answer = operator(&world, (method, path), &[with, page].concat()).await;
                match health {
                    true => assert_eq!(answer.status, 200),
                    false => assert_eq!((answer.status, answer.error().1.as_str()), (403, code), "{method} {path}"),
                }
            }
            let own =
                [("host", "localhost:9901"), ("origin", "http://localhost:9901"), ("sec-fetch-site", "same-origin")];
            let answer = operator(&world, (method, path), &[with, &own].concat()).await;
            // Without a body there is nothing to change; the guard has let it through to where that is said.
            assert_eq!(answer.status, if changes { 400 } else { 200 }, "{method} {path}: {}", answer.text());
        }
        assert_eq!(world.bill(Name::Stability).calls, 0);
    }
}

#[tokio::test]
async fn every_answer_to_operators_tells_a_browser_to_load_frame_guess_and_keep_nothing() {
    let world = World::new(&with_server("admin_token: t0ken")).await;
    let token = ("authorization", "Bearer t0ken");
    let others = [("GET", "/nothing"), ("PUT", "/metrics"), ("GET", "/admin/nothing")];
    for asked in OPERATORS.into_iter().chain(others) {
        for headers in [&[][..], &[token], &[token, EVIL]] {
            let answer = operator(&world, asked, headers).await;
            let policy = answer.header("content-security-policy");
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{asked:?}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-resource-policy", "same-origin"),
                ("cache-control", "no-store"),
                ("access-control-allow-origin", ""),
            ] {
                assert_eq!(answer.header(name), value, "{asked:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_link_to_what_was_paid_is_followed_from_a_chat_and_not_fetched_by_it() {
    let world = World::new(&with_server("")).await;
    let follow = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(operator(&world, ("GET", "/admin/ledger"), &follow).await.status, 200);
    for (mode, destination) in [("navigate", "iframe"), ("no-cors", "document"), ("cors", "empty")] {
        let fetch = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode), ("sec-fetch-dest", destination)];
        assert_eq!(operator(&world, ("GET", "/admin/ledger"), &fetch).await.error().1, "cross_site", "{mode}");
    }
}
