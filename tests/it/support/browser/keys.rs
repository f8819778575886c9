//! Keys, as the `DevTools` protocol wants them (`Input.dispatchKeyEvent`).

use serde_json::{Value, json};

/// Named keys with their code and the number that Windows gave them, which pages still read.
const NAMED: &[(&str, u32)] = &[
    ("Enter", 13),
    ("Tab", 9),
    ("Escape", 27),
    ("Backspace", 8),
    ("Delete", 46),
    ("Home", 36),
    ("End", 35),
    ("PageUp", 33),
    ("PageDown", 34),
    ("ArrowLeft", 37),
    ("ArrowUp", 38),
    ("ArrowRight", 39),
    ("ArrowDown", 40),
];

/// Down and up.
pub(super) fn events(key: &str) -> [Value; 2] {
    let (modifiers, key) = modifiers(key);
    let named = NAMED.iter().find(|(name, _)| *name == key);
    let mut event = if let Some((name, number)) = named {
        json!({"key": name, "code": name, "windowsVirtualKeyCode": number})
    } else {
        assert_eq!(key.chars().count(), 1, "no key is called {key:?}");
        let (code, number) = key.chars().next().map(code).unwrap_or_default();
        json!({"key": key, "code": code, "windowsVirtualKeyCode": number})
    };
    event["modifiers"] = json!(modifiers);
    let text = match key {
        "Enter" => Some("\r"),
        _ if named.is_none() && modifiers & !SHIFT == 0 => Some(key),
        _ => None,
    };
    let mut down = event.clone();
    down["type"] = json!(if text.is_some() { "keyDown" } else { "rawKeyDown" });
    if let Some(text) = text {
        down["text"] = json!(text);
    }
    event["type"] = json!("keyUp");
    [down, event]
}

const SHIFT: u32 = 8;

fn modifiers(mut key: &str) -> (u32, &str) {
    let mut modifiers = 0;
    for (name, bit) in [("Alt+", 1), ("Control+", 2), ("Meta+", 4), ("Shift+", SHIFT)] {
        if let Some(rest) = key.strip_prefix(name) {
            (modifiers, key) = (modifiers | bit, rest);
        }
    }
    (modifiers, key)
}

/// The key of a keyboard, and its number: none for what no single key writes.
fn code(c: char) -> (String, u32) {
    match c {
        'a'..='z' | 'A'..='Z' => {
            (format!("Key{}", c.to_ascii_uppercase()), u32::from(c.to_ascii_uppercase()))
        }
        '0'..='9' => (format!("Digit{c}"), u32::from(c)),
        ' ' => ("Space".to_owned(), 32),
        _ => (String::new(), 0),
    }
}
