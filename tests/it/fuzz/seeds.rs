//! What the targets begin with: `TARGET/NAME`, made of what the repository has for its other tests, and `TARGET.dict` with the
//! words that stand in it.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use super::targets::{CONTENT_TYPES, JOBS, KEY, STATUSES};
use easel_encode::{Encoding, Pixels, encode};
use serde_json::{Value, json};

/// Writes all of it, and returns how much.
pub fn write(to: &Path) -> Result<usize, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Seeds { to: to.to_owned(), written: 0 };
    seeds.configs(root)?;
    seeds.samples(root)?;
    seeds.forms()?;
    seeds.prompts(root)?;
    seeds.pictures(root)?;
    Ok(seeds.written)
}

struct Seeds {
    to: PathBuf,
    written: usize,
}

type Written = Result<(), Box<dyn Error>>;

impl Seeds {
    fn write(&mut self, target: &str, name: &str, bytes: &[u8]) -> Written {
        let folder = self.to.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)?;
        self.written += 1;
        Ok(())
    }

    /// Words that a text of this target has, one a line as libFuzzer reads them.
    fn words(&self, target: &str, words: &BTreeSet<String>) -> Written {
        let plain =
            |word: &&String| word.len() <= 40 && word.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let line = |word: &String| format!("\"{}\"\n", word.replace('\\', "\\\\").replace('"', "\\\""));
        Ok(fs::write(self.to.join(format!("{target}.dict")), words.iter().filter(plain).map(line).collect::<String>())?)
    }

    fn configs(&mut self, root: &Path) -> Written {
        for folder in ["conf", "examples", "deploy", "src/config/presets"] {
            for path in files(&root.join(folder))? {
                if path.extension().is_some_and(|end| end == "yaml") {
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    self.write("config", &format!("{}-{name}", folder.replace('/', "-")), &fs::read(&path)?)?;
                }
            }
        }
        // A guide's blocks are small, and each is about something else.
        for folder in ["docs", "docs/guides", "docs/operate"] {
            for path in files(&root.join(folder))? {
                let Ok(page) = fs::read_to_string(&path) else { continue };
                for (at, block) in
                    page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).enumerate()
                {
                    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    self.write("config", &format!("{name}-{at}.yaml"), block.as_bytes())?;
                }
            }
        }
        let mut words =
            BTreeSet::from(["${GONE}".to_owned(), "${file:/k}".to_owned(), "&a ".to_owned(), "*a".to_owned()]);
        names(&easel::internals::config::schema(), &mut words);
        self.words("config", &words)
    }

    /// The golden samples: what they ask for is a request, what they are answered is a reply.
    fn samples(&mut self, root: &Path) -> Written {
        let mut words = BTreeSet::from([KEY.to_owned(), "data: ".to_owned(), "[DONE]".to_owned()]);
        for folder in files(&root.join("tests/golden"))? {
            let kind = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let jobs: Vec<usize> = (0..JOBS.len()).filter(|at| JOBS[*at].0 == kind).collect();
            for path in files(&folder)? {
                let case: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
                let name = format!("{kind}-{}", path.file_stem().unwrap_or_default().to_string_lossy());
                if case["request"].is_object() {
                    self.write("request_json", &name, case["request"].to_string().as_bytes())?;
                }
                let model = case["model"].as_str().unwrap_or_default();
                let own = jobs.iter().find(|at| JOBS[**at].1.ends_with(model)).or(jobs.first());
                let Some(job) = own.and_then(|at| u8::try_from(*at).ok()) else { continue };
                let at = |place: Option<usize>| place.and_then(|at| u8::try_from(at).ok()).unwrap_or_default();
                let status = at(STATUSES.iter().position(|status| case["reply"]["status"] == json!(status)));
                let told = case["reply"]["headers"]["content-type"].as_str().unwrap_or(CONTENT_TYPES[0]);
                let content_type = at(CONTENT_TYPES.iter().position(|known| told.starts_with(known)));
                let body = match &case["reply"]["body"] {
                    Value::String(text) => text.clone(),
                    json => json.to_string(),
                };
                let bytes = [&[job, status, content_type][..], body.replace("<key>", KEY).as_bytes()].concat();
                self.write("reply", &name, &bytes)?;
                keys(&case["reply"]["body"], &mut words);
            }
        }
        self.words("reply", &words)?;
        self.write("request_json", "feedback", br#"{"image_id": "img_1", "verdict": "rejected", "reason": "hands"}"#)?;
        let picture = format!("data:image/png;base64,{}", base64_simd::STANDARD.encode_to_string(PNG));
        let edit = json!({"prompt": "a hat", "images": [{"image_url": picture}], "mask": {"image_url": picture}});
        self.write("request_json", "edit", edit.to_string().as_bytes())?;
        let fields = "prompt negative_prompt model n size quality response_format output_format output_compression background \
                      moderation style complexity seed user stream partial_images images image_url mask input_fidelity null auto \
                      true \\u0000 1024x1024 data:image/png;base64,";
        self.words("request_json", &fields.split_whitespace().map(|word| word.replace("\\u", "\\\\u")).collect())
    }

    fn forms(&mut self) -> Written {
        let part = |head: &str, bytes: &[u8]| {
            [b"--x\r\ncontent-disposition: form-data; ", head.as_bytes(), b"\r\n\r\n", bytes, b"\r\n"].concat()
        };
        let file = "filename=\"a.png\"\r\ncontent-type: image/png";
        let [image, many, mask] =
            ["image", "image[]", "mask"].map(|name| part(&format!("name=\"{name}\"; {file}"), PNG));
        let prompt = part("name=\"prompt\"", b"a hat");
        let more =
            [part("name=\"n\"", b"2"), part("name=\"size\"", b"1024x1024"), part("name=\"input_fidelity\"", b"high")];
        let head = b"multipart/form-data; boundary=x\n";
        let end = b"--x--\r\n";
        for (name, parts) in [
            ("edit", vec![&prompt, &image]),
            ("mask", vec![&prompt, &image, &mask]),
            ("several", vec![&prompt, &many, &many, &more[0], &more[1], &more[2]]),
            ("variation", vec![&image, &more[0]]),
        ] {
            let parts: Vec<u8> = parts.into_iter().flatten().copied().collect();
            self.write("multipart", name, &[&head[..], &parts, end].concat())?;
        }
        let words = "--x|--x--|content-disposition: form-data; |name=\"|filename=\"|content-type: |image/png|filename*=utf-8''|\
                     boundary=|multipart/form-data; |content-transfer-encoding: base64|prompt|image|image[]|mask|n|size";
        self.words("multipart", &words.split('|').map(str::to_owned).collect())
    }

    fn prompts(&mut self, root: &Path) -> Written {
        let pairs = [
            "a red fox in the snow, watercolor\na fox, red, in snow, water color",
            "two cats and three dogs\nthree cats and two dogs",
            "a woman without a hat\na woman with a hat",
            "16:9 poster of \"OPEN 24/7\"\nposter 16:9, text 'OPEN 24/7'",
            "ein roter Fuchs im Schnee\nun renard roux",
            "a 35mm photo at f/1.8, ISO 400\na photo 35 mm f1.8 iso400",
            "(masterpiece:1.2), ((best quality)), [ugly]\nmasterpiece, best quality",
        ];
        for (at, pair) in pairs.iter().enumerate() {
            self.write("prompts", &format!("pair-{at}"), pair.as_bytes())?;
        }
        let mut words = BTreeSet::new();
        for path in files(&root.join("src/prompt_match/matcher/lists"))? {
            let Ok(list) = fs::read_to_string(&path) else { continue };
            // Every eleventh word of each list: enough of each sort, and few enough to try them all.
            let words_of = list.split(|c: char| c.is_whitespace() || c == ',').filter(|word| word.len() > 1);
            words.extend(words_of.step_by(11).take(60).map(str::to_owned));
        }
        self.words("prompts", &words)
    }

    /// Small pictures: the public ones of the quality gate's tests are a few kilobytes each.
    fn pictures(&mut self, root: &Path) -> Written {
        self.write("picture", "pixel.png", PNG)?;
        let public = root.join("tests/fixtures/pictures/public");
        for path in files(&public)?.into_iter().chain(files(&public.join("corrupt"))?) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_file() && fs::metadata(&path)?.len() < 64 << 10 {
                self.write("picture", &name, &fs::read(&path)?)?;
            }
        }
        let (width, height) = (40u32, 24u32);
        let drawn = |channels: u32| -> Vec<u8> {
            (0..width * height * channels).map(|at| ((at * 7 % 251) ^ (at / 90)) as u8).collect()
        };
        let encodings = [("png", Encoding::Png), ("jpg", Encoding::Jpeg(80)), ("webp", Encoding::Webp)];
        for (end, encoding) in encodings {
            for (alpha, channels) in [(false, 3), (true, 4)] {
                let bytes = drawn(channels);
                if let Ok(file) = encode(Pixels { bytes: &bytes, width, height, alpha }, encoding) {
                    self.write("picture", &format!("drawn-{channels}.{end}"), &file)?;
                }
            }
        }
        let words = "IHDR PLTE IDAT IEND tRNS iCCP eXIf acTL fcTL fdAT RIFF WEBP VP8 VP8L VP8X ANIM ANMF ALPH JFIF Exif ICC_PROFILE Adobe";
        self.words("picture", &words.split_whitespace().map(str::to_owned).collect())
    }
}

/// A white pixel.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\x0bIDATx\xdac\xf8\
                     \x0f\x04\0\t\xfb\x03\xfdh\xfa\x1c\xcc\0\0\0\0IEND\xaeB`\x82";

/// What is in a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    Ok(paths)
}

/// The keys and words that a schema knows.
fn names(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            into.extend(
                schema["properties"].as_object().into_iter().flat_map(|keys| keys.keys().map(|key| format!("{key}: "))),
            );
            into.extend(schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            members.values().for_each(|below| names(below, into));
        }
        Value::Array(items) => items.iter().for_each(|below| names(below, into)),
        _ => {}
    }
}

/// The keys of a body, as JSON has them.
fn keys(body: &Value, into: &mut BTreeSet<String>) {
    match body {
        Value::Object(members) => members.iter().for_each(|(key, below)| {
            into.insert(format!("\"{key}\":"));
            keys(below, into);
        }),
        Value::Array(items) => items.iter().for_each(|below| keys(below, into)),
        _ => {}
    }
}
