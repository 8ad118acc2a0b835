//! Text of others for our messages: short, without markup and without keys. Control characters are left to the printer.

/// Most characters of a response that an error shows.
const LONGEST: usize = 160;

/// The beginning of a response that is not of the expected form, such as a proxy's page.
pub fn excerpt(body: &str) -> String {
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
    let text = redacted(&text);
    let short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// Text on one line, without keys.
pub fn redacted(text: &str) -> String {
    text.split_whitespace().map(redacted_word).collect::<Vec<_>>().join(" ")
}

/// A word, unless it looks like a key: long, and of capital letters and digits among others.
fn redacted_word(word: &str) -> String {
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
            assert_eq!(redacted_word(word), shown);
        }
    }
}
