//! `server:` and `cache:`.

use super::*;

#[test]
fn addresses_of_the_server_are_checked() {
    let server = |server: &str| {
        let text = small("", "") + &format!("server: {{{server}}}\n");
        problems(&text).into_iter().map(|problem| problem.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        server("listen: \"8080\""),
        ["`\"8080\"` is not host:port | write an address and a port, like 127.0.0.1:8080",]
    );
    assert_eq!(
        server("admin: \"0.0.0.0:99999\""),
        ["`\"0.0.0.0:99999\"` is not host:port | write an address and a port, like 127.0.0.1:9901",]
    );
    assert_eq!(
        server("admin: 127.0.0.1:8080"),
        ["clients and admin cannot share `127.0.0.1:8080` | give `listen` and `admin` different ports",]
    );
    assert_eq!(server("tls: {cert: a.pem}"), ["`tls` needs `key` too | add `key:` with the name of a PEM file"]);
    assert_eq!(
        server("passthrough: http://a.example/x"),
        ["must not have a path: requests keep their own | write `http://a.example`",]
    );
    assert_eq!(server("threads: 0"), ["must be at least 1 | -"]);
    assert_eq!(server("limits: {request_body: 50 MB}"), ["`50 MB` is not an amount of memory | write `50MB`"]);
    assert_eq!(
        server("limits: {request_body: 50MX}"),
        ["`50MX` has an unknown unit of memory | write a number and a unit: 64MiB, 2GiB or 50MB"]
    );
    assert_eq!(
        server("drain_delay: 61m"),
        [
            "`61m` is longer than anything waits for a server to stop | write at most 1h, and 5s to 30s for most load balancers"
        ]
    );
    let delay = |text: &str| plan(&(small("", "") + text)).server.drain_delay.as_secs();
    assert_eq!((delay(""), delay("server: {drain_delay: 1h}\n")), (0, 3600));
    plan(&(small("", "") + "server: {listen: \"[::1]:0\", admin: localhost:0}\n"));
}

#[test]
fn where_spans_go_is_read_and_checked() {
    let with = |tracing: &str| small("", "") + &format!("server: {{tracing: {{{tracing}}}}}\n");
    let read = |tracing: &str| plan(&with(tracing)).server.tracing.unwrap();
    let least = read("otlp: 'http://127.0.0.1:4318'");
    assert_eq!(least.otlp.as_str(), "http://127.0.0.1:4318/v1/traces");
    assert_eq!((least.sample_ppm, least.timeout, least.headers.len()), (1_000_000, Duration::from_secs(10), 0));
    let all = read("otlp: 'https://a.example/otlp', sample: 2.5%, timeout: 3s, headers: {X-Team: t}");
    assert_eq!((all.otlp.path(), all.sample_ppm, all.timeout), ("/otlp", 25_000, Duration::from_secs(3)));
    assert_eq!(all.headers, [("x-team".to_owned(), Secret::new("t"))]);
    assert_eq!(read("otlp: 'http://a.example', sample: 0%").sample_ppm, 0);
    assert_eq!(plan(&small("", "")).server.tracing, None);
    let wrong = |tracing: &str| {
        problems(&with(tracing))
            .into_iter()
            .map(|problem| problem.split_once(' ').unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    let like = "like http://127.0.0.1:4318/v1/traces";
    assert_eq!(wrong("sample: 1%"), [format!("this does not say where spans go | add `otlp:`, {like}")]);
    let otlp = "otlp: 'http://a.example'";
    assert_eq!(
        wrong(&format!("{otlp}, sample: 101%")),
        ["there are no more traces than all of them | write at most 100%"]
    );
    assert_eq!(wrong(&format!("{otlp}, timeout: 2m")), ["`2m` is longer than spans can wait | write at most 1m"]);
    assert_eq!(
        wrong(&format!("{otlp}, headers: {{Content-Type: x}}")),
        ["Easel writes the header content-type by itself | delete it"]
    );
    assert_eq!(wrong(&format!("{otlp}, headers: {{x y: x}}")), ["`x y` is not the name of a header | -"]);
}

#[test]
fn an_address_that_others_reach_needs_clients_or_the_word_that_anyone_may_ask() {
    let listen = |listen: &str, more: &str| read(&format!("{}server: {{listen: \"{listen}\"}}\n{more}", small("", "")));
    let client =
        "clients: [{name: web, key_sha256: 0f5f2a0e4f1a3f7b8ad2b3f1c4a7d9e05c6f7081920a1b2c3d4e5f60718293a4}]\n";
    for address in ["0.0.0.0:8080", "[::]:8080", "10.1.2.3:80", "pod.internal:80", "localhost.example:80"] {
        for more in ["", "# clients: anyone\n"] {
            let problems = listen(address, more).unwrap().remote_refused.unwrap();
            let told = problems.iter().next().unwrap();
            assert_eq!(problems.len(), 1, "{problems}");
            assert!(told.what.contains(address), "{problems}");
            assert!(told.suggestion.as_ref().unwrap().contains("`clients: anyone`"), "{problems}");
        }
        let open = listen(address, "clients: anyone\n").unwrap();
        assert!(open.anyone && open.remote_refused.is_none());
        let listed = listen(address, client).unwrap();
        assert!(!listed.anyone && listed.remote_refused.is_none());
        // Among other problems it is one of them.
        assert_eq!(listen(address, "cache: {memory: much}\n").unwrap_err().len(), 2);
    }
    for address in ["127.0.0.1:8080", "127.8.8.8:1", "[::1]:8080", "[::ffff:127.0.0.1]:1", "localhost:0", "LocalHost:1"]
    {
        assert!(listen(address, "").unwrap().remote_refused.is_none(), "{address}");
    }
    assert_eq!(listen("127.0.0.1:1", "clients: everyone\n").unwrap_err().len(), 1);
}

#[test]
fn names_and_pages_of_the_server_are_checked_and_kept_as_browsers_send_them() {
    let wrong = |server: &str| {
        let mut problems = problems(&(small("", "") + &format!("server: {{{server}}}\n")));
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0).split_once(' ').unwrap().1.to_owned()
    };
    for (page, help) in [("https://a.example/x", "write scheme, host and port alone"), ("*", "name each origin")] {
        let told = wrong(&format!("cors: {{origins: ['{page}']}}"));
        assert!(told.contains("is not an origin") && told.contains(help), "{told}");
    }
    assert!(wrong("hosts: ['easel:8080']").contains("is not a host's name"));
    let more = "server: {hosts: [Easel.Internal.], cors: {origins: ['HTTPS://UI.example:443', 'http://[::1]:80', 'tauri://localhost']}}\n";
    let server = plan(&(small("", "") + more)).server;
    assert_eq!(server.hosts, ["easel.internal"]);
    assert_eq!(server.cors, ["https://ui.example", "http://[::1]", "tauri://localhost"]);
}

#[test]
fn words_of_the_cache_are_words_and_each_has_one_meaning() {
    let told = |words: &str| {
        let text = small("", "") + &format!("cache: {{words: {{{words}}}}}\n");
        problems(&text).into_iter().map(|problem| problem.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    for (words, expected) in [
        (
            "synonyms: [[mug]]",
            "a word alone is no synonym | write at least two words that mean the same, like [couch, sofa]",
        ),
        (
            "synonyms: [[mug, cup], [Cup, pot]]",
            "`Cup` is in another group, so that both mean the same | make one group of the two",
        ),
        ("synonyms: [[mug, mug]]", "`mug` is in this group twice | delete one"),
        ("brands: ['--']", "is no word | write a word or a short phrase"),
        ("boosters: ['']", "is no word | write a word or a short phrase"),
    ] {
        assert_eq!(told(words), [expected]);
    }
    let long = format!("colors: [{}]", "x".repeat(101));
    assert_eq!(told(&long), ["is longer than 100 characters | write a word or a short phrase"]);
    let many = (0..1_001).map(|number| format!("color{number}")).collect::<Vec<_>>().join(", ");
    assert_eq!(told(&format!("colors: [{many}]")), ["has 1001 entries, 1000 is the most | -"]);
}

#[test]
fn a_cache_on_disk_has_a_directory_of_its_own_and_room_for_pictures() {
    let with = |cache: &str| format!("cache: {{{cache}}}\nserver: {{state_dir: ./state}}\n{}", small("", ""));
    assert_eq!(plan(&with("memory: 1MiB")).disk_cache, None);
    let disk = plan(&with("disk: {dir: state/pictures}")).disk_cache.unwrap();
    assert_eq!((disk.dir.to_str(), disk.size), (Some("state/pictures"), 10 << 30));
    assert_eq!(plan(&with("disk: {dir: ./cache, size: 16MiB}")).disk_cache.unwrap().size, 16 << 20);
    for (written, told) in [
        ("disk: {}", "1:9 this does not say where | add `dir:`, a directory of its own, like ./state/pictures"),
        ("disk: {dir: d, size: 15MiB}", "1:30 `15MiB` has no room for pictures | write at least 16MiB"),
        (
            "disk: {dir: state/}",
            "1:21 `state/` is `server.state_dir`, which is the ledger's | write a directory of its own, like ./state/pictures",
        ),
    ] {
        assert_eq!(problems(&with(written)), [told], "{written}");
    }
    let stateless = problems(&(small("", "") + "cache: {disk: {size: 1GiB}}\n"));
    assert!(stateless[0].ends_with("add `dir:`, a directory of its own, like ./cache"), "{stateless:?}");
}
