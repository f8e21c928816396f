//! `dialect:` and the presets that fill it in.

use super::*;

#[test]
fn a_dialect_is_checked_word_by_word() {
    let dialect = |dialect: &str| {
        let text = format!(
            "providers:\n  a: {{kind: openai_compatible, base_url: https://a.example/v1, models: {{m: {{price: 1}}}}, dialect: {{{dialect}}}}}\nroutes: [{{name: r, offers: [a/m]}}]\n"
        );
        read(&text)
    };
    let wrong = |text: &str| {
        let problems = dialect(text).unwrap_err();
        problems.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>()
    };
    assert_eq!(wrong("path: https://evil.example/"), ["`https://evil.example/` is not a path below `base_url`"]);
    assert_eq!(wrong("path: ../other"), ["`../other` is not a path below `base_url`"]);
    assert_eq!(wrong("edit_path: ../other"), ["`../other` is not a path below `base_url`"]);
    assert_eq!(wrong("rename: {promt: text}"), ["Easel sends no field `promt`"]);
    assert_eq!(wrong("drop: [n, stile]"), ["Easel sends no field `stile`"]);
    assert_eq!(wrong("auth_header: \"x key\""), ["`\"x key\"` is not the name of a header"]);
    let read = |text: &str| dialect(text).unwrap().providers["a"].account.dialect.clone();
    assert_eq!(read("auth_header: X-Key").auth, ("x-key".to_owned(), String::new()));
    assert_eq!(read("auth_header: authorization, auth_prefix: Key").auth.1, "Key ");
    assert_eq!(read("response_format: none").response_format, None);
    assert_eq!(read("path: /generate, size: W*H").path, "generate");
    assert_eq!(read("edit_path: /edit, rename: {image: input}").edit_path.as_deref(), Some("edit"));
    assert_eq!(read("size: W*H").edit_path, None);
    assert_eq!(wrong("headers: {authorization: x}"), ["Easel writes the header authorization by itself"]);
    assert_eq!(wrong("auth_header: x-key, headers: {X-Key: x}"), ["Easel writes the header x-key by itself"]);
    assert_eq!(wrong("headers: {x y: x}"), ["`x y` is not the name of a header"]);
    assert_eq!(read("headers: {X-Project: p}").headers, [("x-project".to_owned(), Secret::new("p"))]);
    assert_eq!(wrong("edit_as: json"), ["nothing says where pictures are changed"]);
    assert_eq!(read("edit_path: e, edit_as: json_list").edit_as, EditAs::JsonList);
    assert_eq!(wrong("cost_unit: cents"), ["nothing says where the price of a call is told"]);
    let cost = read("cost_at: usage.cost., cost_unit: cents");
    assert_eq!((cost.cost_at.as_deref(), cost.cost_unit), (Some("usage.cost"), CostUnit::Cents));
}

#[test]
fn a_job_is_asked_about_by_its_id_or_at_its_address() {
    let base = "base_url: https://a.example/v1";
    let poll = |poll: &str| read(&compatible(&format!("{base}, dialect: {{poll: {{{poll}}}}}"), ""));
    let good = |text: &str| poll(text).unwrap().providers["a"].account.dialect.poll.clone().unwrap();
    let by_id = good("id: job.id, path: '/jobs/{id}', done: [ok]");
    assert_eq!(by_id.at, AskAt::Path { id: "job.id".to_owned(), path: "jobs/{id}".to_owned() });
    assert_eq!((by_id.status.as_str(), by_id.every), ("status", Duration::from_secs(1)));
    let by_url = good("url: urls.get, hosts: ['*.A.example'], status: state, done: [ok], failed: ['no'], every: 250ms");
    assert_eq!(by_url.at, AskAt::Url { url: "urls.get".to_owned(), hosts: vec!["*.a.example".parse().unwrap()] });
    assert_eq!((by_url.status.as_str(), by_url.every), ("state", Duration::from_millis(250)));
    for (text, what) in [
        ("id: job.id, path: 'jobs/{id}'", "nothing says when a job is done"),
        ("id: job.id, done: [ok]", "this does not say where to ask about a job"),
        ("path: 'jobs/{id}', url: u, done: [ok]", "this does not say where to ask about a job"),
        ("id: job.id, path: jobs, done: [ok]", "`jobs` has no {id}"),
        (
            "id: job.id, path: 'https://evil.example/{id}', done: [ok]",
            "`'https://evil.example/{id}'` is not a path below",
        ),
        ("id: job.id, path: 'jobs/{id}', hosts: [b.example], done: [ok]", "`hosts` means nothing without `url`"),
        ("url: u, hosts: ['https://b.example'], done: [ok]", "`'https://b.example'` is not a host"),
        ("url: u, done: [ok], failed: [ok]", "`ok` stands in two of the lists"),
        ("url: u, done: [ok], every: 0s", "must be longer than nothing"),
        ("url: u, done: [ok], evry: 1s", "unknown key `evry`"),
    ] {
        let problems = poll(text).unwrap_err();
        let told: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
        assert!(told.len() == 1 && told[0].starts_with(what), "{text}: {told:?}");
    }
}

#[test]
fn a_preset_means_what_it_would_mean_written_out() {
    for name in presets() {
        let written = preset(name).unwrap();
        let indented: String = written.lines().map(|line| format!("    {line}\n")).collect();
        let key = "api_key: k, base_url: https://own.example/v1";
        let by_name = plan(&compatible(&format!("preset: {name}, {key}"), ""));
        // Below the base URL and the key of the user's own, which win.
        let text = format!(
            "providers:\n  a:\n{}    api_key: k\n    base_url: https://own.example/v1\n    models: {{m: {{price: 1}}}}\n\
             routes: [{{name: r, offers: [a/m]}}]\n",
            indented.replace("    base_url:", "    # base_url:")
        );
        let in_full = plan(&text);
        assert_eq!(format!("{:?}", by_name.providers), format!("{:?}", in_full.providers), "{name}");
        assert!(written.starts_with("# "), "{name} says where its facts are from");
        assert!(written.contains("\nkind: openai_compatible\n"), "{name}");
    }
}

#[test]
fn what_is_written_beside_a_preset_wins_key_by_key() {
    let provider = |provider: &str, model: &str| plan(&compatible(provider, model)).providers["a"].clone();
    let plain = provider("preset: together, api_key: k", "");
    assert_eq!(plain.account.base_url.as_str(), "https://api.together.ai/v1/");
    assert_eq!(plain.account.dialect.size, SizeFormat::TwoFields);
    assert_eq!(plain.models["m"].capabilities.max_n, Some(4));
    let own = provider("preset: together, api_key: k, dialect: {response_format: url, drop: []}", ", max_n: 2");
    let dialect = &own.account.dialect;
    assert_eq!((dialect.size, dialect.response_format.as_deref()), (SizeFormat::TwoFields, Some("url")));
    assert!(dialect.drop.is_empty());
    assert_eq!((own.models["m"].capabilities.max_n, own.models["m"].capabilities.seed), (Some(2), Some(true)));
}

#[test]
fn an_unknown_preset_is_told_with_the_one_that_was_meant_and_a_hosted_one_wants_a_key() {
    let told = problems(&compatible("preset: togehter, base_url: https://a.example", ""));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("found `togehter` | did you mean `together`?"), "{told:?}");
    let told = problems(&compatible("preset: together", ""));
    assert_eq!(told, ["2:3 preset together needs an `api_key` | add `api_key: ${A_API_KEY}`"]);
    assert!(read(&compatible("preset: together, base_url: https://own.example", "")).is_ok());
    let told = problems(&compatible("preset: vllm", ""));
    assert_eq!(told, ["2:3 kind openai_compatible needs a `base_url` | add `base_url: https://host/v1/`"]);
    let told = problems(&small("    preset: together\n", ""));
    assert_eq!(
        told,
        ["6:13 `preset` means nothing to this kind of provider | delete it, or use kind openai_compatible"]
    );
    let schema = loader_schema();
    let words = &schema["properties"]["providers"]["additionalProperties"]["properties"]["preset"]["enum"];
    let words: Vec<&str> = words.as_array().unwrap().iter().filter_map(|word| word.as_str()).collect();
    assert_eq!(words, presets().collect::<Vec<_>>());
}
