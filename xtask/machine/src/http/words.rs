//! What others say, fit to be shown: short, without markup, without keys, and without what a terminal obeys.

/// As much of an answer as an error shows, in characters.
const LONGEST: usize = 160;

/// The first words of an answer that should have been another, such as a proxy's page.
pub fn first(body: &str) -> String {
    let mut text = String::new();
    let mut markup = false;
    // What follows is never shown, so that it need not be read.
    for c in body.chars().take(20 * LONGEST) {
        match c {
            '<' => markup = true,
            '>' if markup => {
                markup = false;
                text.push(' ');
            }
            _ if markup => {}
            _ => text.push(c),
        }
    }
    let text = without_keys(&text);
    let short: String = text.chars().take(LONGEST).collect();
    visible(if short.len() < text.len() { format!("{short}…") } else { short }.as_str())
}

/// What a program says.
pub fn shown(text: &str) -> String {
    visible(&without_keys(text))
}

/// With control characters as their escapes, so that a terminal does not obey them.
pub fn visible(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

fn without_keys(text: &str) -> String {
    text.split_whitespace().map(redacted).collect::<Vec<_>>().join(" ")
}

/// A word, unless it looks like a key: long, and of capital letters and digits among others.
fn redacted(word: &str) -> String {
    let is_key = |part: &str| {
        let has = |kind: fn(&char) -> bool| part.chars().any(|c| kind(&c));
        part.len() >= 16 && has(char::is_ascii_uppercase) && has(char::is_ascii_digit)
    };
    let boundary = |c: char| !(c.is_ascii_alphanumeric() || "+/=_-".contains(c));
    let parts = word.split_inclusive(boundary).map(|part| {
        let bare = part.trim_end_matches(boundary);
        if is_key(bare) { part.replace(bare, "***") } else { part.to_owned() }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_is_not_shown() {
        for (word, shown) in [
            ("AKIAIOSFODNN7EXAMPLE:", "***:"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "***"),
            ("\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\",", "\"***\","),
            ("SecretAccessKey=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "***"),
            ("/usr/local/bin/credentials-helper", "/usr/local/bin/credentials-helper"),
            ("okta.example.com/session", "okta.example.com/session"),
        ] {
            assert_eq!(redacted(word), shown);
        }
    }
}
