//! The packages that applications call with: the official one for Node, Vercel's AI SDK, LiteLLM's and LangChain's.
//!
//! They are heavy, so `scripts/sdks` installs them and runs these tests; the official package for Python is light and has
//! its test in `tools.rs`.

use std::path::PathBuf;
use std::process::Command;

use easel::sandbox::Name;

use crate::docs::{blocks::blocks, commands::Scene, pages};
use crate::world::{PROVIDERS, World};

/// Where `scripts/sdks` has installed what the programs import.
fn installed() -> PathBuf {
    let folder = std::env::var_os("EASEL_TEST_SDKS");
    folder.expect("EASEL_TEST_SDKS is not set: run scripts/sdks, which installs the packages").into()
}

/// Vendors that edit; a name of a route's own, names that packages know; `dall-e-3`, which answers by links.
fn config() -> String {
    format!(
        "{PROVIDERS}
routes:
  - name: m
    match: {{models: [m, gpt-image-1, gpt-image-2]}}
    offers: [openai/gpt-image-2]
    defaults: {{size: 1024x1024}}
  - name: links
    match: {{models: [dall-e-3]}}
    offers: [openai/gpt-image-2]
    defaults: {{size: 1024x1024, response_format: url}}
  - name: varied
    match: {{models: [varied]}}
    offers: [openai/gpt-image-2]
    defaults: {{size: 1024x1024}}
    cache: {{variants: 4}}
"
    )
}

/// Runs a program in the folder of its packages, where alone Node finds them.
async fn passes(program: &'static str, name: &'static str) -> World {
    let folder = installed();
    let world = World::new(&config()).await;
    let url = format!("http://{}/v1", world.addr);
    let path = folder.join(name);
    std::fs::write(&path, program).unwrap();
    let interpreter = if name.ends_with(".py") { folder.join("venv/bin/python") } else { PathBuf::from("node") };
    let run = move || Command::new(interpreter).arg(path).arg(url).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("all of it worked"), "{said}");
    world
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: run scripts/sdks"]
async fn the_official_node_package_generates_edits_streams_and_gets_its_typed_errors() {
    drop(passes(include_str!("sdks/openai.mjs"), "openai.mjs").await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: run scripts/sdks"]
async fn vercels_ai_sdk_generates_edits_and_gets_its_errors() {
    drop(passes(include_str!("sdks/vercel.mjs"), "vercel.mjs").await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: run scripts/sdks"]
async fn vercels_ai_sdk_gets_three_different_pictures_from_a_route_with_variants_and_three_are_paid() {
    let world = passes(include_str!("sdks/vercel_variants.mjs"), "vercel_variants.mjs").await;
    assert_eq!((world.bill(Name::OpenAi).pictures, world.spent()), (3, world.invoiced()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: run scripts/sdks"]
async fn litellms_package_generates_edits_and_gets_its_errors() {
    drop(passes(include_str!("sdks/litellm_client.py"), "litellm_client.py").await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: run scripts/sdks"]
async fn langchains_dall_e_wrapper_gets_links() {
    drop(passes(include_str!("sdks/langchain_client.py"), "langchain_client.py").await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: run scripts/sdks"]
async fn the_programs_for_node_on_the_pages_of_docs_work() {
    let mut seen = 0;
    for page in pages() {
        let program: Vec<String> =
            blocks(&page).into_iter().filter(|block| block.is("js", "")).map(|block| block.text).collect();
        if program.is_empty() {
            continue;
        }
        let scene = Scene::of(&page).await;
        let path = installed().join(format!("{}.mjs", page.file_stem().unwrap().display()));
        std::fs::write(&path, scene.here(&program.concat())).unwrap();
        let mut node = Command::new("node");
        node.arg(path);
        let output = scene.run(node).await;
        assert!(output.status.success(), "{}\n{}", page.display(), String::from_utf8_lossy(&output.stderr));
        seen += 1;
    }
    assert!(seen > 0, "pages show programs for Node");
}
