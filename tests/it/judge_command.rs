//! `easel judge`: a route's gate on files, its numbers, its exit codes and its page.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Output;

use base64_simd::STANDARD;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::commands::{config, easel};
use crate::exchange::png;

/// Something to see, sharp and of many colours; `seed` makes another one.
fn scene(seed: u32) -> RgbImage {
    RgbImage::from_fn(256, 256, |x, y| {
        let hill = 110.0 + 60.0 * ((x + 50 * seed) as f32 / 37.0).sin() * (y as f32 / 29.0).cos();
        let disc = ((x as i32 % 80) - 40).pow(2) + ((y as i32 % (70 + 9 * seed as i32)) - 35).pow(2) < 400;
        let level = if disc { 235 } else { hill as u8 };
        Rgb([level, level / 2 + (x / 4) as u8, 200 - level / 2])
    })
}

/// The same at night.
fn night() -> RgbImage {
    let mut night = scene(0);
    night.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|level| level / 4));
    night
}

fn blank() -> RgbImage {
    RgbImage::from_pixel(256, 256, Rgb([128; 3]))
}

/// A folder with a good picture, a dark one and a blank one.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.draw("day.png", scene(0));
        folder.draw("night.png", night());
        folder.draw("blank.png", blank());
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn draw(&self, name: &str, picture: RgbImage) -> PathBuf {
        self.write(name, &png(picture))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `easel judge` in this folder.
    fn judge(&self, arguments: &[&str]) -> Output {
        easel().arg("judge").args(arguments).current_dir(self.path()).output().unwrap()
    }

    /// Each file's line of JSON by its name.
    fn json(&self, arguments: &[&str]) -> BTreeMap<String, Value> {
        let output = self.judge(&[&["--json"], arguments].concat());
        let lines = text(&output.stdout);
        let read = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        read.map(|line| (line["file"].as_str().unwrap().to_owned(), line)).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn each_file_has_its_verdict_its_numbers_and_their_limits_and_what_is_rejected_decides_the_exit_code() {
    let folder = Folder::new();
    let output = folder.judge(&["day.png", "night.png", "blank.png"]);
    let said = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), String::new()), "{said}");
    assert!(said.starts_with("the gate is that of the usual checks\n"), "{said}");
    let verdicts: Vec<&str> = said.lines().filter(|line| line.contains(".png  ")).collect();
    for (line, begins) in verdicts.iter().zip([
        "day.png  accepted  (256x256 png, ",
        "night.png  flagged: dark  (256x256 png, ",
        "blank.png  rejected: blank, near_uniform (flagged: low_information)  (256x256 png, ",
    ]) {
        assert!(line.starts_with(begins), "{line}");
    }
    assert_eq!(verdicts.len(), 3, "{said}");
    for line in [
        "  REJECTS  blank            deviation 0 (below 4, and no colour fades), spread 0 (below 40)\n",
        "  REJECTS  near_uniform     band_share 1 (above 0.98, or of two levels), spread 0 (below 40)\n",
        "  ok       odd_ratio        side_ratio 1 (below 0.35)\n",
        "  FLAGS    dark             bright_parts 0.1",
        "  ok       too_many_pixels  pixels 65536 (above 33177600)\n",
    ] {
        assert!(said.contains(line), "{line} not in:\n{said}");
    }
    assert!(said.ends_with("\n1 accepted, 1 flagged, 1 rejected\n"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 100), "{said}");
    assert_eq!(folder.judge(&["day.png", "night.png"]).status.code(), Some(0), "what is flagged is delivered");
}

#[test]
fn the_json_of_a_file_has_every_number_with_its_limit_and_the_key_that_sets_it() {
    let folder = Folder::new();
    let lines = folder.json(&["blank.png", "night.png"]);
    let (blank, night) = (&lines["blank.png"], &lines["night.png"]);
    assert_eq!(
        (&blank["verdict"], &blank["rejected"], &blank["flagged"]),
        (&json!("rejected"), &json!(["blank", "near_uniform"]), &json!(["low_information"]))
    );
    assert_eq!((&blank["size"], &blank["format"]), (&json!("256x256"), &json!("png")));
    assert_eq!(blank["bytes"], json!(std::fs::metadata(folder.path().join("blank.png")).unwrap().len()));
    assert_eq!((&night["verdict"], &night["rejected"]), (&json!("flagged"), &json!([])));
    assert!(night["ms"].as_f64().unwrap() > 0.0);
    let dark = night["limits"].as_array().unwrap().iter().find(|limit| limit["check"] == "dark").unwrap();
    assert_eq!(dark["measured"], night["metrics"]["bright_parts"]);
    assert_eq!(
        (&dark["outcome"], &dark["fails"], &dark["limit"], &dark["setting"]),
        (&json!("flags"), &json!("below"), &json!(0.32), &json!("thresholds.dark"))
    );
    let found = night["findings"].as_array().unwrap();
    assert_eq!((found.len(), &found[0]["check"], &found[0]["limit"]), (1, &json!("dark"), &json!(0.32)));
}

/// A config of three routes: one that takes dark pictures for bad ones, one that looks at nothing, one that says nothing.
const ROUTES: &str = "
providers:
  stability: {kind: stability, api_key: k, models: {core: {price: 0.04}}}
routes:
  - name: daylight
    match: {models: [daylight]}
    offers: [stability/core]
    quality:
      reject: [dark, judge]
      thresholds: {dark: 0.5}
      judge: {url: 'http://127.0.0.1:9/'}
  - {name: unseen, match: {models: [unseen]}, offers: [stability/core], quality: false}
  - {name: decodes, offers: [stability/core]}
";

#[test]
fn the_gate_is_that_of_the_route_and_its_judge_is_not_asked() {
    let folder = Folder::new();
    config(folder.path(), ROUTES);
    let output = folder.judge(&["night.png", "--config", "easel.yaml", "--route", "daylight"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}{}", text(&output.stderr));
    assert!(said.contains("night.png  rejected: dark  ") && said.contains("(below 0.5)"), "{said}");
    assert!(said.contains("route daylight of easel.yaml\n") && said.contains("\n  judge     not asked\n"), "{said}");
    assert_eq!(folder.json(&["day.png", "-c", "easel.yaml", "-r", "daylight"])["day.png"]["judge"], "not asked");
    // A route without `quality` rejects what does not decode, and looks for nothing else.
    let all = folder.json(&["blank.png", "--config", "easel.yaml", "--route", "decodes"]);
    assert_eq!(
        (&all["blank.png"]["verdict"], all["blank.png"]["limits"].as_array().unwrap().len()),
        (&json!("accepted"), 2)
    );
}

#[test]
fn a_route_that_is_not_there_or_looks_at_nothing_is_told() {
    let folder = Folder::new();
    config(folder.path(), ROUTES);
    for (arguments, words) in [
        (&["--config", "easel.yaml", "--route", "dailight"][..], "no route 'dailight': did you mean `daylight`?"),
        (&["--config", "easel.yaml"], "several routes, say --route: daylight, unseen, decodes"),
        (&["--config", "easel.yaml", "--route", "unseen"], "route 'unseen' of easel.yaml has `quality: false`"),
        (&["--route", "daylight"], "--config"),
        (&["--size", "big"], "a size is WIDTHxHEIGHT"),
    ] {
        let output = folder.judge(&[&["day.png"], arguments].concat());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(words), "{arguments:?}: {said}");
        assert_eq!(text(&output.stdout), "");
    }
    config(folder.path(), &ROUTES.replace("reject: [dark,", "reject: [drak,"));
    let output = folder.judge(&["day.png", "--config", "easel.yaml"]);
    assert_eq!(output.status.code(), Some(1), "a config with problems");
    // With one route there is nothing to choose.
    config(folder.path(), ROUTES.split("  - {name: unseen").next().unwrap());
    assert_eq!(folder.judge(&["night.png", "--config", "easel.yaml"]).status.code(), Some(1));
}

#[test]
fn what_was_agreed_in_a_request_is_said_by_options() {
    let folder = Folder::new();
    folder.draw("again.png", scene(0));
    folder.draw("other.png", scene(3));
    let rejected = |arguments: &[&str], file: &str| folder.json(arguments)[file]["rejected"].clone();
    assert_eq!(rejected(&["day.png", "--size", "512x256"], "day.png"), json!(["wrong_size", "wrong_ratio"]));
    assert_eq!(rejected(&["day.png", "--transparent"], "day.png"), json!(["opaque"]));
    let all = ["day.png", "other.png", "again.png"];
    assert_eq!(rejected(&all, "again.png"), json!([]));
    let together = [&all[..], &["--together"]].concat();
    assert_eq!(rejected(&together, "again.png"), json!(["duplicate"]));
    assert_eq!(rejected(&together, "other.png"), json!([]));
    assert_eq!(rejected(&together, "day.png"), json!([]), "the first of two stays");
    let said = text(&folder.judge(&["day.png"]).stdout);
    assert!(said.contains("  not made  wrong_size (no --size), wrong_ratio (no --size), "), "{said}");
    assert!(said.contains("opaque (no --transparent)") && said.contains("duplicate (no --together)"), "{said}");
}

#[test]
fn a_directory_stands_for_its_pictures_and_what_is_no_picture_is_rejected_as_the_gateway_would() {
    let folder = Folder::new();
    let whole = std::fs::read(folder.path().join("day.png")).unwrap();
    folder.write("cut.PNG", &whole[..whole.len() / 2]);
    folder.write("garbled.webp", b"not a picture");
    folder.write("drawing.jpg", b"<svg xmlns='http://www.w3.org/2000/svg'/>");
    folder.write("notes.txt", b"not looked at");
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::from(scene(1)).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    folder.write("a.jpeg", &jpeg.into_inner());
    let output = folder.judge(&[".", "--json"]);
    let said = text(&output.stdout);
    let told: Vec<(String, Value)> = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["file"].as_str().unwrap().to_owned(), line["rejected"].clone()))
        .collect();
    let expected = [
        ("./a.jpeg", json!([])),
        ("./blank.png", json!(["blank", "near_uniform"])),
        ("./cut.PNG", json!(["truncated"])),
        ("./day.png", json!([])),
        ("./drawing.jpg", json!(["svg"])),
        ("./garbled.webp", json!(["not_a_picture"])),
        ("./night.png", json!([])),
    ];
    assert_eq!(told, expected.map(|(name, rejected)| (name.to_owned(), rejected)));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let output = folder.judge(&["empty"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("empty has no PNG, JPEG or WebP file in it"), "{}", text(&output.stderr));
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_the_others_are_judged() {
    let folder = Folder::new();
    let output = folder.judge(&["gone.png", "day.png", "blank.png"]);
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(told.starts_with("easel: gone.png cannot be judged: "), "{told}");
    assert!(
        said.contains("day.png  accepted") && said.ends_with("1 accepted, 0 flagged, 1 rejected, 1 unreadable\n"),
        "{said}"
    );
    let gone = &folder.json(&["gone.png"])["gone.png"];
    assert_eq!((&gone["verdict"], gone["error"].is_string()), (&json!("unreadable"), true));
}

#[cfg(unix)]
#[test]
fn a_name_moves_no_cursor_and_makes_nothing_of_the_page_but_text() {
    let folder = Folder::new();
    let name = "<img src=x onerror=alert(1)>\"'&\u{1b}[31m\u{202e}.png";
    folder.draw(name, blank());
    let output = folder.judge(&[name, "--sheet", "sheet.html"]);
    let said = text(&output.stdout);
    assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}') && said.contains("\\u{1b}[31m\\u{202e}"), "{said}");
    let page = std::fs::read_to_string(folder.path().join("sheet.html")).unwrap();
    assert!(!page.contains("<img src=x") && !page.contains('\u{1b}'), "{page}");
    assert_eq!(
        page.matches("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;").count(),
        2,
        "the alt text and the title"
    );
    assert_eq!(page.matches("<img ").count(), 1);
}

#[test]
fn the_sheet_shows_every_picture_with_its_numbers_the_rejected_ones_first() {
    let folder = Folder::new();
    folder.write("garbled.png", b"not a picture");
    let output =
        folder.judge(&["day.png", "gone.png", "night.png", "blank.png", "garbled.png", "--sheet", "sheet.html"]);
    assert_eq!(output.status.code(), Some(2));
    let page = std::fs::read_to_string(folder.path().join("sheet.html")).unwrap();
    let cards: Vec<&str> = page.split("<article class=\"").skip(1).collect();
    let shown: Vec<(&str, &str)> = cards
        .iter()
        .map(|card| {
            (card.split('"').next().unwrap(), card.split("<h2>").nth(1).unwrap().split("</h2>").next().unwrap())
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("unreadable", "gone.png"),
            ("rejected", "blank.png"),
            ("rejected", "garbled.png"),
            ("flagged", "night.png"),
            ("accepted", "day.png"),
        ]
    );
    for count in ["<b>1</b> <span class=\"verdict\">unreadable", "<b>2</b> <span class=\"verdict\">rejected"] {
        assert!(page.contains(count), "{count}");
    }
    assert!(cards[1].contains("<li>blank: deviation 0 (fails below 4, and no colour fades)</li>"), "{}", cards[1]);
    assert!(cards[1].contains("alt=\"blank.png, rejected: blank, near_uniform (flagged: low_information)\""));
    assert!(cards[3].contains("<td>thresholds.dark</td>") && cards[4].contains("<summary>All numbers"), "{}", cards[3]);
    assert!(cards[0].contains("no picture to show") && cards[2].contains("no picture to show"));
    // The pictures are within it, to the byte, and nothing else is fetched or run.
    let embedded = cards[4].split("src=\"data:image/png;base64,").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(STANDARD.decode_to_vec(embedded).unwrap(), std::fs::read(folder.path().join("day.png")).unwrap());
    for word in ["<script", "http:", "https:", "<link", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.ends_with("</html>\n"));
}

#[test]
fn what_is_more_than_a_page_holds_is_linked() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("pages")).unwrap();
    // Nothing but zeros behind its end, which take no room on the disk.
    let large = folder.draw("a large one.png", scene(2));
    std::fs::File::options().write(true).open(&large).unwrap().set_len(65 << 20).unwrap();
    let output = folder.judge(&["a large one.png", "day.png", "--sheet", "pages/sheet.html"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let page = std::fs::read_to_string(folder.path().join("pages/sheet.html")).unwrap();
    assert!(page.contains("src=\"../a%20large%20one.png\"") && page.contains("src=\"data:image/png;base64,"));
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
}

#[test]
fn a_sheet_takes_no_picture_s_place_and_is_told_where_it_cannot_be_before_any_file_is_judged() {
    let folder = Folder::new();
    let before = std::fs::read(folder.path().join("day.png")).unwrap();
    for (sheet, words) in
        [("./day.png", "one of the files to judge"), ("nowhere/sheet.html", "the sheet cannot be written")]
    {
        let output = folder.judge(&["day.png", "--sheet", sheet]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    assert_eq!(std::fs::read(folder.path().join("day.png")).unwrap(), before);
}

#[test]
fn many_files_are_told_in_their_order_and_each_once() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let (day, blank) = (png(scene(0)), png(blank()));
    let names: Vec<String> = (0..60).map(|nth| format!("{nth:03}.png")).collect();
    for (nth, name) in names.iter().enumerate() {
        folder.write(name, if nth % 3 == 0 { &blank } else { &day });
    }
    let output = folder.judge(&[".", "--json"]);
    let told: Vec<(String, bool)> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["file"].as_str().unwrap().to_owned(), line["verdict"] == "rejected"))
        .collect();
    let expected: Vec<(String, bool)> =
        names.iter().enumerate().map(|(nth, name)| (format!("./{name}"), nth % 3 == 0)).collect();
    assert_eq!(told, expected);
}

#[test]
fn check_warns_of_a_check_that_cannot_work_and_finds_the_config_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), &ROUTES.replace("reject: [dark, judge]", "reject: [dark, judge, opaque]"));
    let output = easel().arg("check").arg(&path).output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    let warned = text(&output.stderr);
    assert!(said.contains("is fine: "), "{said}");
    assert!(warned.contains("warning[idle_check]: route daylight: `opaque` fails no picture"), "{warned}");
}
