//! A config's text: it is taken, or all that is wrong with it is told, without what came from outside the file.

use std::path::Path;

use easel::reload::{EnvAndFiles, check};

use super::KEY;

/// Every variable is set and every file is there, but for those called `gone`.
struct World;

impl EnvAndFiles for World {
    fn var(&self, name: &str) -> Option<String> {
        (!name.eq_ignore_ascii_case("gone")).then(|| KEY.to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        if path.ends_with("gone") { Err("no such file".to_owned()) } else { Ok(KEY.to_owned()) }
    }
}

/// Reads it twice, for what it says may not hang on chance.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let told = |result: Result<easel::Plan, easel::reload::LoadError>| match result {
        Ok(plan) => format!("{plan:?}"),
        Err(problems) => {
            let told = problems.to_string();
            assert!(!told.is_empty(), "refused without a word");
            told
        }
    };
    let first = told(check("easel.yaml", text, &World));
    assert!(!first.contains(KEY) || text.contains(KEY), "shows what came from outside:\n{first}");
    assert_eq!(first, told(check("easel.yaml", text, &World)));
}
