//! Parsers for argument values.

use std::time::Duration;

use model::reference::ImageReference;

/// A duration such as `90s`, `15m`, `2h` or `1d`.
pub(super) fn age(text: &str) -> Result<Duration, &'static str> {
    let wrong = "an age is a number followed by s, m, h or d, such as 15m";
    let unit = text.chars().last().ok_or(wrong)?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or(wrong)
}

/// A base URL, or a pattern that begins with an output.
pub(super) fn smoke_url(text: &str) -> Result<String, &'static str> {
    let starts = ["http://", "https://", "{"].iter().any(|start| text.starts_with(start));
    if starts && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("a URL starts with http:// or https://, or with an output, {OutputKey}")
    }
}

/// A registry's host, as it stands before the `/` of an image's name.
pub(super) fn registry_host(text: &str) -> Result<String, &'static str> {
    let parsed = format!("{text}/name:tag").parse::<ImageReference>();
    match parsed {
        Ok(image) if image.host == text => Ok(image.host),
        _ => Err("a registry is HOST or HOST:PORT, without a scheme"),
    }
}

/// A name at GitHub that appears unescaped in a token's claim.
pub(super) fn word(text: &str) -> Result<String, &'static str> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
        Ok(text.to_owned())
    } else {
        Err("only letters, digits, and _ . - are allowed")
    }
}

/// A branch whose name appears unescaped in a token's claim.
pub(super) fn branch(text: &str) -> Result<String, &'static str> {
    text.split('/').try_for_each(|part| word(part).map(drop))?;
    Ok(text.to_owned())
}
