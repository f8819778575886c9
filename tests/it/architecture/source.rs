//! Just enough of Rust's grammar to see which modules a file names and how long its functions
//! are. Macros are read as the text they are.

/// A word, `::`, or one other character, with its line (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// The tokens of `source`, without comments, and without what is inside strings.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let (end, shown) = next(&chars, at);
        if shown {
            let text = chars[at..end].iter().collect();
            tokens.push(Token { text, line });
        }
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

/// Where what begins at `at` ends, and whether it is a token.
fn next(chars: &[char], at: usize) -> (usize, bool) {
    let is = |offset: usize, c: char| chars.get(at + offset) == Some(&c);
    match chars[at] {
        '/' if is(1, '/') => (find(chars, at, |rest| rest[0] == '\n'), false),
        '/' if is(1, '*') => (block_comment(chars, at), false),
        '"' => (string(chars, at), false),
        '\'' => (quote(chars, at), false),
        ':' if is(1, ':') => (at + 2, true),
        c if c.is_whitespace() => (at + 1, false),
        c if is_word(c) => word(chars, at),
        _ => (at + 1, true),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first place from `at` on where `found`, or the end.
fn find(chars: &[char], at: usize, found: impl Fn(&[char]) -> bool) -> usize {
    (at..chars.len()).find(|place| found(&chars[*place..])).unwrap_or(chars.len())
}

/// A word, or the raw or byte string that it is the prefix of.
fn word(chars: &[char], at: usize) -> (usize, bool) {
    let end = find(chars, at, |rest| !is_word(rest[0]));
    let prefix: String = chars[at..end].iter().collect();
    if !matches!(prefix.as_str(), "r" | "b" | "br" | "c" | "cr") {
        return (end, true);
    }
    let quote = find(chars, end, |rest| rest[0] != '#');
    match chars.get(quote) {
        Some('"') if prefix.ends_with('r') => {
            let mut close = vec!['"'];
            close.resize(1 + quote - end, '#');
            let inside = find(chars, quote + 1, |rest| rest.starts_with(&close));
            ((inside + close.len()).min(chars.len()), false)
        }
        Some('"') if quote == end => (string(chars, end), false),
        _ => (end, true),
    }
}

fn string(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// A character, or the tick of a lifetime.
fn quote(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        return (find(chars, at + 3, |rest| rest[0] == '\'') + 1).min(chars.len());
    }
    if chars.get(at + 2) == Some(&'\'') { at + 3 } else { at + 1 }
}

fn block_comment(chars: &[char], at: usize) -> usize {
    let (mut at, mut depth) = (at + 2, 1);
    while at < chars.len() && depth > 0 {
        let step = match chars[at..] {
            ['/', '*', ..] => 1,
            ['*', '/', ..] => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
    }
    at
}

/// The top-level modules that `tokens` names through `crate::` or through enough `super::`, each
/// with its line. `depth` is how many modules the file lies below the crate's root.
pub(crate) fn modules_named(tokens: &[Token], depth: usize) -> Vec<(usize, String)> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut named = Vec::new();
    let (mut inline, mut braces) = (Vec::new(), 0_usize);
    for at in 0..tokens.len() {
        match text(at) {
            "mod" if text(at + 2) == "{" => inline.push(braces),
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                inline.pop_if(|opened| *opened == braces);
            }
            "crate" if text(at + 1) == "::" => named.extend(names(tokens, at + 2)),
            "super" if at == 0 || text(at - 1) != "::" => {
                let supers = (at..).step_by(2).take_while(|at| text(*at) == "super").count();
                if supers >= depth + inline.len() {
                    named.extend(names(tokens, at + 2 * supers));
                }
            }
            _ => {}
        }
    }
    named
}

/// The first words of the path or the group of paths at `at`.
fn names(tokens: &[Token], at: usize) -> Vec<(usize, String)> {
    let Some(first) = tokens.get(at) else { return Vec::new() };
    if first.text != "{" {
        return vec![(first.line, first.text.clone())];
    }
    let (mut named, mut depth) = (Vec::new(), 0_usize);
    for (token, before) in tokens[at + 1..].iter().zip(&tokens[at..]) {
        let begins = depth == 0 && matches!(before.text.as_str(), "{" | ",");
        match token.text.as_str() {
            "}" if depth == 0 => break,
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if begins => named.push((token.line, token.text.clone())),
            _ => {}
        }
    }
    named
}

/// Every function that has a body.
pub(crate) fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut functions = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let [keyword, name] = pair else { continue };
        let named = name.text.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if keyword.text == "fn"
            && named
            && let Some(end) = body_end(&tokens[at..])
        {
            let (line, name) = (keyword.line, name.text.clone());
            functions.push(Function { name, line, lines: end - line + 1 });
        }
    }
    functions
}

/// The line where the body of the function at the start of `tokens` closes.
fn body_end(tokens: &[Token]) -> Option<usize> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for token in tokens {
        match token.text.as_str() {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets -= 1,
            "{" => braces += 1,
            ";" if braces == 0 && brackets == 0 => return None,
            "}" => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn comments_and_strings_are_no_code() {
    let texts = |source| tokens(source).into_iter().map(|t| t.text).collect::<Vec<_>>();
    assert_eq!(texts("a // b\n/* c /* d */ e */ f::g"), ["a", "f", "::", "g"]);
    assert_eq!(texts(r##"x("y\"z", r#"w"v"#, b"u", 't', '\'', s)"##).concat(), "x(,,,,,s)");
    assert_eq!(texts("<'a>(r#type: &'a str)").concat(), "<a>(r#type:&astr)");
}

#[test]
fn a_function_is_as_long_as_its_text() {
    let source = "trait T { fn no(x: [u8; 2]); }\nfn f(x: [u8; 2]) -> u8 {\n  { 1 }\n}";
    let expected = Function { name: "f".to_owned(), line: 2, lines: 3 };
    assert_eq!(functions(&tokens(source)), [expected]);
}
