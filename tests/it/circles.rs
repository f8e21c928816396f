//! Files of src/ use each other in one direction: no arrow between two of them leads back to where it came from.
//!
//! An arrow goes from a file that names an item to the file in whose module that item stands: the longest beginning of a
//! path that is a module, in a `use` or within the code. What a `mod.rs` hands on with `pub use` counts as its own, and
//! `mod x;` is no arrow. Tests may use whatever they like.

use std::collections::{BTreeMap, BTreeSet};

use crate::docs::root;
use crate::papers::code;

/// A path of modules from the crate's root on.
type Module = Vec<String>;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Colons,
    Sign(char),
}

/// The words and signs of a file without its comments, texts and lifetimes.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            tokens.push(Token::Colons);
            2
        } else if first == '"' {
            text_length(rest)
        } else if let Some(raw) = raw_text_length(rest) {
            raw
        } else if first == '\'' {
            char_length(rest)
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Sign(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// How long a text in quotes is, escapes included.
fn text_length(rest: &str) -> usize {
    let mut escaped = true;
    let end = rest.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}

/// The same of a raw text.
fn raw_text_length(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = inside.chars().take_while(|c| *c == '#').count();
    let inside = inside[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(rest.len() - inside.len() + inside.find(&end).map_or(inside.len(), |at| at + end.len()))
}

/// How long a character in quotes is; a lifetime's mark stands alone.
fn char_length(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => rest[3..].find('\'').map_or(rest.len(), |at| at + 4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The module that a file below src/ is.
fn module_of(file: &str) -> Module {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// Every path that a file names, from the crate's root on.
struct Names {
    module: Module,
    /// What a first word stands for: child modules, and what was imported.
    known: BTreeMap<String, Module>,
    named: BTreeSet<Module>,
}

impl Names {
    fn of(file: &str, text: &str) -> Names {
        let module = module_of(file);
        let tokens = tokens(text);
        let child = |three: &[Token]| match three {
            [Token::Word(word), Token::Word(name), Token::Sign(';')] if word == "mod" => Some(name.clone()),
            _ => None,
        };
        let below = |name: String| (name.clone(), module.iter().cloned().chain([name]).collect());
        let known = tokens.windows(3).filter_map(child).map(below).collect();
        let mut names = Names { module, known, named: BTreeSet::new() };
        // What is imported is known above and below the line that imports it.
        names.read(&tokens);
        names.read(&tokens);
        names
    }

    fn read(&mut self, tokens: &[Token]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                Token::Word(word) if word == "use" => self.tree(tokens, &mut at, &[]),
                // As in `pub(in crate::sandbox)`.
                Token::Word(word) if word == "in" && at > 1 && tokens[at - 2] == Token::Sign('(') => {
                    at += path_at(tokens, at).len() * 2;
                }
                Token::Word(_) => {
                    let path = path_at(tokens, at - 1);
                    at += (path.len() - 1) * 2;
                    if path.len() > 1 {
                        self.named.extend(self.absolute(&path));
                    }
                }
                Token::Colons | Token::Sign(_) => {}
            }
        }
    }

    /// A tree of imports from `at` on, each of which begins with `before`.
    fn tree(&mut self, tokens: &[Token], at: &mut usize, before: &[String]) {
        let mut path = before.to_vec();
        let mut name = None;
        loop {
            let token = tokens.get(*at);
            *at += 1;
            match token {
                Some(Token::Word(word)) if word == "as" => {}
                Some(Token::Word(word)) if tokens.get(*at - 2) == Some(&Token::Word("as".to_owned())) => {
                    name = Some(word.clone());
                }
                Some(Token::Word(word)) => path.push(word.clone()),
                Some(Token::Colons) => {}
                Some(Token::Sign('{')) => {
                    while !matches!(tokens.get(*at - 1), Some(Token::Sign('}')) | None) {
                        self.tree(tokens, at, &path);
                    }
                    path.clear();
                }
                Some(Token::Sign('*')) => path.push("*".to_owned()),
                Some(Token::Sign(_)) | None => break,
            }
        }
        if path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let (Some(last), Some(path)) = (path.last().cloned(), self.absolute(&path)) else { return };
        self.known.insert(name.unwrap_or(last), path.clone());
        self.named.insert(path);
    }

    /// The path from the root on; `None` for what is not of this crate.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let up = path.iter().take_while(|word| *word == "super").count();
        let (start, rest): (&[String], &[String]) = match path.first()?.as_str() {
            "crate" => (&[], &path[1..]),
            "self" => (&self.module, &path[1..]),
            "super" => (&self.module[..self.module.len().checked_sub(up)?], &path[up..]),
            first => (self.known.get(first)?, &path[1..]),
        };
        Some(start.iter().chain(rest).cloned().collect())
    }
}

/// The words from `at` on with `::` between them.
fn path_at(tokens: &[Token], at: usize) -> Vec<String> {
    let mut path = Vec::new();
    let mut at = at;
    while let Some(Token::Word(word)) = tokens.get(at) {
        path.push(word.clone());
        match tokens.get(at + 1) {
            Some(Token::Colons) => at += 2,
            _ => break,
        }
    }
    path
}

/// Which files each file uses, and the first name that shows it.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

fn arrows(files: &[(String, String)]) -> Arrows {
    let modules: BTreeMap<Module, &String> = files.iter().map(|(file, _)| (module_of(file), file)).collect();
    let mut arrows = Arrows::new();
    for (file, text) in files {
        let uses = arrows.entry(file.clone()).or_default();
        for path in Names::of(file, text).named {
            let found = (1..path.len()).rev().find_map(|length| Some((modules.get(&path[..length])?, length)));
            // A module that is named without anything in it shows itself where its items are used.
            if let Some((other, length)) = found.filter(|_| !modules.contains_key(&path))
                && *other != file
            {
                uses.entry((*other).clone()).or_insert_with(|| path[length..].join("::"));
            }
        }
    }
    arrows
}

/// Files that use each other in a circle, with what each uses of the next; `None` when there are none.
fn circle(arrows: &Arrows) -> Option<String> {
    let mut left = arrows.clone();
    // Files that use none of those left are in no circle.
    loop {
        let free = |(_, uses): &(&String, &BTreeMap<String, String>)| !uses.keys().any(|to| left.contains_key(to));
        let free: BTreeSet<String> = left.iter().filter(free).map(|(file, _)| file.clone()).collect();
        if free.is_empty() {
            break;
        }
        left.retain(|file, _| !free.contains(file));
    }
    let mut walked: Vec<&String> = vec![left.keys().next()?];
    loop {
        let here = *walked.last()?;
        let next = left[here].keys().find(|to| left.contains_key(*to))?;
        if let Some(begins) = walked.iter().position(|file| *file == next) {
            walked.push(next);
            let steps = walked[begins..].windows(2);
            let steps = steps.map(|step| format!("{} uses {} of {}", step[0], left[step[0]][step[1]], step[1]));
            return Some(steps.collect::<Vec<_>>().join(", "));
        }
        walked.push(next);
    }
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let src = root().join("src");
    let name = |path: &std::path::Path| path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
    let files: Vec<(String, String)> = code().into_iter().map(|(path, _, text)| (name(&path), text)).collect();
    let arrows = arrows(&files);
    assert!(arrows["provider/mod.rs"].contains_key("provider/openai/mod.rs"), "arrows are seen: {arrows:?}");
    assert_eq!(circle(&arrows), None);
}

#[test]
fn a_circle_is_seen_through_imports_paths_and_parents() {
    let files = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
        texts.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
    };
    let circle_of = |texts: &[(&str, &str)]| circle(&arrows(&files(texts)));
    let quiet = circle_of(&[
        (
            "a/mod.rs",
            "mod b;\n// crate::c::D\nfn f(s: &'static str) { b::run('\"', \"super::c::X\", r#\"crate::c::X\"#) }",
        ),
        ("a/b.rs", "use crate::c::{self, E as F};\npub(in crate::a) fn run() { c::go(); F::new() }"),
        ("c.rs", "use std::fmt;"),
    ]);
    assert_eq!(quiet, None);
    let parent = circle_of(&[("a/mod.rs", "mod b;\npub use b::B;"), ("a/b.rs", "use super::A;")]);
    assert_eq!(parent.as_deref(), Some("a/b.rs uses A of a/mod.rs, a/mod.rs uses B of a/b.rs"));
    let three = circle_of(&[
        ("a.rs", "fn f() { crate::b::g() }"),
        ("b.rs", "use crate::{c::{d, H}, x};\nfn g() -> H { d() }"),
        ("c.rs", "use crate::a;\nfn d() { a::f() }"),
    ]);
    assert_eq!(three.as_deref(), Some("a.rs uses g of b.rs, b.rs uses H of c.rs, c.rs uses f of a.rs"));
}
