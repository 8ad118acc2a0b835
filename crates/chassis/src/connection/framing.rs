//! Where a request's head and its body end (RFC 9112, sections 2.1 and 7.1), and what of it is too much.
//!
//! actix parses requests; here they are only separated, with the same grammar, so that no byte of the next one reaches
//! actix before the one before is answered. Every byte is looked at once, wherever the reads divide them.

use memchr::{memchr, memchr_iter};

/// As many as actix's parser takes.
const HEADERS: usize = 96;

/// The longest name of a header that the `http` crate takes; actix panics at a longer one.
const NAME_BYTES: usize = u16::MAX as usize;

/// So many digits write every size that fits into 64 bits, with some zeros in front.
const SIZE_DIGITS: u8 = 24;

/// A request line and headers that are arriving.
#[derive(Default)]
pub(super) struct Head {
    bytes: usize,
    /// Those that have ended.
    lines: usize,
    /// What of the last line there is, up to its end.
    line: usize,
    /// Whether that has a colon.
    named: bool,
    /// Whether that ends with a carriage return.
    returned: bool,
}

/// What a piece of a head was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// All of it belongs to the head, which goes on.
    Part,
    /// The head ends after so many bytes of the piece.
    End(usize),
    /// More bytes than are allowed, without an end.
    TooLong,
    TooManyHeaders,
    LongName,
}

impl Head {
    pub(super) fn has_begun(&self) -> bool {
        self.bytes > 0
    }

    /// Takes the next piece. A head that has ended is allowed to be too long: it can be refused with all that is known of
    /// the request.
    pub(super) fn scan(&mut self, piece: &[u8], allowed: usize) -> Scanned {
        let mut from = 0;
        for at in memchr_iter(b'\n', piece) {
            let part = &piece[from..at];
            let line = self.line + part.len();
            let returned = part.last().map_or(self.returned, |last| *last == b'\r');
            if line == 0 || (line == 1 && returned) {
                *self = Self::default();
                return Scanned::End(at + 1);
            }
            if self.has_long_name(part) {
                return Scanned::LongName;
            }
            self.lines += 1;
            if self.lines > 1 + HEADERS {
                return Scanned::TooManyHeaders;
            }
            (self.line, self.named, self.returned) = (0, false, false);
            from = at + 1;
        }
        let rest = &piece[from..];
        if self.has_long_name(rest) {
            return Scanned::LongName;
        }
        self.named = self.named || memchr(b':', rest).is_some();
        self.returned = rest.last().map_or(self.returned, |last| *last == b'\r');
        self.line += rest.len();
        self.bytes += piece.len();
        if self.bytes > allowed { Scanned::TooLong } else { Scanned::Part }
    }

    /// Whether the last line, with this at its end, is a header whose name is too long.
    fn has_long_name(&self, part: &[u8]) -> bool {
        if self.lines == 0 || self.named || self.line + part.len() <= NAME_BYTES {
            return false;
        }
        self.line + memchr(b':', part).unwrap_or(part.len()) > NAME_BYTES
    }
}

/// How many bytes lie between two requests: empty lines, which a server ignores (RFC 9112, section 2.2).
pub(super) fn empty_lines(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// What of a body is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Length(u64),
    Chunked(Chunks),
    /// What follows `CONNECT` and an upgrade; nobody here reads it.
    Endless,
}

/// Why a body cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    Malformed,
    TooLong,
}

/// How much of a piece belongs to a body, and whether that ends there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) bytes: usize,
    pub(super) ended: bool,
}

impl Body {
    /// Takes the next piece; `allowed` is for chunked bodies, of which the length is known only at their end.
    pub(super) fn take(&mut self, piece: &[u8], allowed: usize) -> Result<Taken, Unfit> {
        match self {
            Self::Length(left) => {
                let bytes = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                *left -= bytes as u64;
                Ok(Taken { bytes, ended: *left == 0 })
            }
            Self::Chunked(chunks) => chunks.take(piece, allowed),
            Self::Endless => Ok(Taken { bytes: 0, ended: false }),
        }
    }
}

/// A chunked body that is arriving.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chunks {
    place: Place,
    /// The size of the chunk whose first line is being read, then what of it is to come.
    size: u64,
    digits: u8,
    /// Bytes of content, extensions and trailers: what a client can make as long as it likes.
    bytes: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    SpaceAfterSize,
    Extension,
    SizeEnd,
    Content,
    ContentReturn,
    ContentEnd,
    TrailerBegin,
    Trailer,
    TrailerEnd,
    LastEnd,
}

impl Chunks {
    fn take(&mut self, piece: &[u8], allowed: usize) -> Result<Taken, Unfit> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            if self.place == Place::Content {
                let length = usize::try_from(self.size).unwrap_or(usize::MAX).min(piece.len() - at);
                self.count(length, allowed)?;
                self.size -= length as u64;
                at += length;
                if self.size == 0 {
                    self.place = Place::ContentReturn;
                }
                continue;
            }
            at += 1;
            if self.place == Place::LastEnd && byte == b'\n' {
                return Ok(Taken { bytes: at, ended: true });
            }
            self.place = self.step(byte, allowed)?;
        }
        Ok(Taken { bytes: at, ended: false })
    }

    /// The place after a byte that is not content.
    fn step(&mut self, byte: u8, allowed: usize) -> Result<Place, Unfit> {
        let next = match (self.place, byte) {
            (Place::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).ok_or(Unfit::Malformed)?;
                self.digits += 1;
                if self.digits > SIZE_DIGITS {
                    return Err(Unfit::Malformed);
                }
                self.size = self.size.checked_mul(16).ok_or(Unfit::Malformed)? + u64::from(digit);
                // A size that is not allowed is refused before the content is waited for.
                if self.size > allowed as u64 {
                    return Err(Unfit::TooLong);
                }
                Place::Size
            }
            (Place::Size, _) if self.digits == 0 => return Err(Unfit::Malformed),
            (Place::Size | Place::SpaceAfterSize, b' ' | b'\t') => {
                self.count(1, allowed)?;
                Place::SpaceAfterSize
            }
            (Place::Size | Place::SpaceAfterSize, b';') => Place::Extension,
            (Place::Size | Place::SpaceAfterSize | Place::Extension, b'\r') => Place::SizeEnd,
            (Place::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count(1, allowed)?;
                Place::Extension
            }
            (Place::SizeEnd, b'\n') => {
                self.digits = 0;
                if self.size == 0 { Place::TrailerBegin } else { Place::Content }
            }
            (Place::ContentReturn, b'\r') => Place::ContentEnd,
            (Place::ContentEnd, b'\n') => Place::Size,
            (Place::TrailerBegin, b'\r') => Place::LastEnd,
            (Place::Trailer, b'\r') => Place::TrailerEnd,
            // Others take it for the end of a line, and what follows for the next request.
            (Place::TrailerBegin | Place::Trailer, b'\n') => return Err(Unfit::Malformed),
            (Place::TrailerBegin | Place::Trailer, _) => {
                self.count(1, allowed)?;
                Place::Trailer
            }
            (Place::TrailerEnd, b'\n') => Place::TrailerBegin,
            _ => return Err(Unfit::Malformed),
        };
        Ok(next)
    }

    fn count(&mut self, bytes: usize, allowed: usize) -> Result<(), Unfit> {
        self.bytes += bytes;
        if self.bytes > allowed { Err(Unfit::TooLong) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans text in pieces of every size, which must not matter.
    fn head(text: &[u8], allowed: usize) -> (Scanned, usize) {
        let scan = |size: usize| {
            let (mut head, mut before) = (Head::default(), 0);
            for piece in text.chunks(size) {
                match head.scan(piece, allowed) {
                    Scanned::Part => before += piece.len(),
                    Scanned::End(length) => return (Scanned::End(before + length), 0),
                    refused => return (refused, 0),
                }
            }
            (Scanned::Part, before)
        };
        let whole = scan(text.len());
        for size in [1, 2, 3, 7].into_iter().filter(|size| text.len() < 1000 * size) {
            assert_eq!(scan(size), whole, "{} in pieces of {size}", text.escape_ascii());
        }
        whole
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        for (text, length) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"[..], 27),
            (b"GET / HTTP/1.1\nHost: a\n\nGET", 24),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\nGET", 26),
            (b"GET / HTTP/1.1\r\n\r\n\r\n", 18),
        ] {
            assert_eq!(head(text, 1000).0, Scanned::End(length), "{}", text.escape_ascii());
        }
        for text in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r"[..], b"GET / HTTP/1.1\r\nX: \r\r\nY", b"GET"] {
            assert_eq!(head(text, 1000), (Scanned::Part, text.len()), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_too_much_of_a_head() {
        let headers = |count: usize| ["GET / HTTP/1.1\r\n", &"a: b\r\n".repeat(count), "\r\n"].concat().into_bytes();
        assert!(matches!(head(&headers(96), 10_000).0, Scanned::End(_)));
        assert_eq!(head(&headers(97), 10_000).0, Scanned::TooManyHeaders);
        assert_eq!(head(&[b'a'; 101], 100).0, Scanned::TooLong);
        assert_eq!(head(&[b'a'; 100], 100).0, Scanned::Part);
        let name =
            |length: usize, after: &str| ["GET / HTTP/1.1\r\n", &"a".repeat(length), after].concat().into_bytes();
        for after in [": b\r\n\r\n", "\r\n\r\n", "a"] {
            assert_eq!(head(&name(65_536, after), 131_072).0, Scanned::LongName, "{after:?}");
        }
        assert!(matches!(head(&name(65_535, ": b\r\n\r\n"), 131_072).0, Scanned::End(_)));
        let value = ["GET / HTTP/1.1\r\nX: ", &"a".repeat(70_000), "\r\n\r\n"].concat();
        assert!(matches!(head(value.as_bytes(), 131_072).0, Scanned::End(_)));
    }

    fn chunks(text: &str, allowed: usize) -> Result<Taken, Unfit> {
        let take = |size: usize| {
            let (mut body, mut before) = (Body::Chunked(Chunks::default()), 0);
            for piece in text.as_bytes().chunks(size) {
                let taken = body.take(piece, allowed)?;
                before += taken.bytes;
                if taken.ended {
                    return Ok(Taken { bytes: before, ended: true });
                }
            }
            Ok(Taken { bytes: before, ended: false })
        };
        let whole = take(text.len());
        for size in 1..8 {
            assert_eq!(take(size), whole, "{text:?} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn a_chunked_body_ends_after_its_trailers() {
        for text in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "3;a=\"b\"\r\nabc\r\n0 ;x\r\n\r\n",
            "a\r\n0123456789\r\n00\r\nX: y\r\nZ: \r\n\r\n",
        ] {
            let ended = Ok(Taken { bytes: text.len(), ended: true });
            assert_eq!(chunks(&format!("{text}GET"), 100), ended, "{text:?}");
        }
        for text in ["5\r\nabc", "0\r\n", "0\r\nX: y\r\n", "0\r\n\r"] {
            assert_eq!(chunks(text, 100), Ok(Taken { bytes: text.len(), ended: false }), "{text:?}");
        }
    }

    #[test]
    fn content_extensions_and_trailers_count() {
        let long = "a".repeat(11);
        for text in [
            "b\r\n".to_owned(),
            "ffffffffffffffff\r\n".to_owned(),
            "6\r\nabcdef\r\n5\r\nabcde\r\n".to_owned(),
            format!("1;{long}"),
            format!("1{}", " ".repeat(11)),
            format!("0\r\n{long}"),
            "0\r\na: b\r\na: b\r\na: b\r\n".to_owned(),
        ] {
            assert_eq!(chunks(&text, 10), Err(Unfit::TooLong), "{text:?}");
        }
        assert!(chunks("5\r\nabcde\r\n5\r\nabcde\r\n0\r\n\r\n", 10).unwrap().ended);
    }

    #[test]
    fn what_is_not_chunked() {
        for text in [
            "x",
            "\r\n",
            ";",
            "1\n",
            "1x",
            "1\r\r",
            "1\r\nab",
            "1\r\na\rb",
            "1;\x07",
            "0\r\na\rb",
            "0\r\n\ra",
            "0\r\na\nb",
        ] {
            assert_eq!(chunks(text, 100), Err(Unfit::Malformed), "{text:?}");
        }
        assert_eq!(chunks(&"0".repeat(25), 100), Err(Unfit::Malformed));
    }

    #[test]
    fn a_length_is_a_length() {
        let mut body = Body::Length(5);
        assert_eq!(body.take(b"abc", 0), Ok(Taken { bytes: 3, ended: false }));
        assert_eq!(body.take(b"defg", 0), Ok(Taken { bytes: 2, ended: true }));
    }
}
