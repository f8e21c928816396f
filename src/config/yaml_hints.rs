//! What to look for in a file that is no YAML: the parser's words name the place where it noticed, which is often below
//! the slip.

/// What to write, by where the parser gave up and what it said.
pub(super) fn hint(text: &str, at: usize, said: &str) -> Option<String> {
    let before = text.get(..at)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = &before[line_start..];
    // A brace of `${NAME}` ends an unquoted text within `{ }`.
    if line.ends_with('$') || line.contains("${") {
        return Some("between `{ }` and `[ ]`, write \"${NAME}\" in quotes".to_owned());
    }
    let to_here: Vec<&str> = text.lines().take(before.matches('\n').count() + 1).collect();
    let numbered = || to_here.iter().enumerate().map(|(index, line)| (index + 1, *line));
    if let Some((number, _)) = numbered().find(|(_, line)| has_odd_indent(line)) {
        return Some(format!("line {number} begins with spaces that are none to YAML: write ordinary ones"));
    }
    if said.contains("tab") {
        return Some("indent with spaces".to_owned());
    }
    if said.contains("mapping values are not allowed") || said.contains("simple key expect") {
        let close = numbered()
            .rev()
            .find(|(_, line)| lacks_space(line))
            .map(|(number, _)| format!("put a space after the colon on line {number}"));
        return close
            .or_else(|| Some("each line is `key: value` or `- item`, indented like its neighbours".to_owned()));
    }
    let known = [
        ("unknown anchor", "`*name` stands for what `&name` marks above it, and nothing here is marked so"),
        ("document start", "a config is YAML: `key: value`, with what belongs to a key indented below it"),
        ("quoted scalar", "a quote that is opened has to be closed"),
    ];
    known.into_iter().find(|(part, _)| said.contains(part)).map(|(_, help)| help.to_owned())
}

/// Whether a line is indented with anything but spaces and tabs, such as no-break spaces.
fn has_odd_indent(line: &str) -> bool {
    let indent = line.chars().take_while(|c| c.is_whitespace() || *c == '\u{feff}' || *c == '\u{200b}');
    indent.into_iter().any(|c| !matches!(c, ' ' | '\t' | '\r' | '\u{feff}'))
}

/// Whether a line is a key with its value directly after the colon.
fn lacks_space(line: &str) -> bool {
    let plain = line.trim_start().trim_start_matches("- ");
    plain.split_once(':').is_some_and(|(key, value)| {
        let word = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        word && value.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '"' | '\'' | '[' | '{' | '$'))
    })
}

#[cfg(test)]
mod tests {
    use crate::config::report::Findings;
    use crate::config::tree;

    /// The printed problem of a text that is no YAML.
    fn told(text: &str) -> String {
        let broken = tree::read(text, &mut Findings::default()).unwrap_err();
        let mut findings = Findings::default();
        findings.add(broken);
        findings.into_problems("x.yaml", text.to_owned()).to_string()
    }

    #[test]
    fn a_slip_is_told_where_it_is_and_not_where_the_parser_noticed() {
        for (text, help) in [
            ("a:\n\tb: 1\n", "indent with spaces"),
            ("a:\n  - name:x\n    b: 1\n", "put a space after the colon on line 2"),
            ("a:\n\u{a0} \u{a0} b: 1\n    c: 2\n", "line 2 begins with spaces that are none to YAML"),
            ("a: *b\n", "nothing here is marked so"),
            ("[a.b]\nc = \"d\"\n", "a config is YAML"),
            ("a: \"b\nc: d\n", "a quote that is opened has to be closed"),
            ("a: {b: ${KEY}}\n", "write \"${NAME}\" in quotes"),
            ("a:\n  - b\n  c\nd: 1\n", "each line is `key: value` or `- item`"),
        ] {
            let told = told(text);
            assert!(told.contains(&format!("= help: {help}")) || told.contains(help), "{told}");
        }
    }
}
