//! Mail addresses of persons, as far as they are not what talk of development is full of.

use memchr::{memchr, memrchr};

use super::{Hit, Severity, add};

/// Longest parts of an address (RFC 5321 section 4.5.3.1), shortened: what is longer is none.
const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 100;

/// Boxes that no person owns.
const ROLES: &[&str] = &[
    "noreply",
    "no-reply",
    "donotreply",
    "do-not-reply",
    "git",
    "info",
    "support",
    "security",
    "contact",
    "hello",
    "admin",
    "postmaster",
    "webmaster",
    "abuse",
    "sales",
    "help",
    "press",
    "root",
    "bot",
    "user",
    "username",
    "you",
    "me",
    "name",
    "email",
    "mail",
    "test",
    "someone",
    "conduct",
    "team",
    "appeals",
    "notifications",
    "office",
    "hostmaster",
    "dev",
];
/// Last labels that are no domains of mail: reserved ones (RFC 2606, 6761), and names of files.
const ENDS: &[&str] = &[
    "test",
    "invalid",
    "local",
    "localhost",
    "example",
    "internal",
    "lan",
    "js",
    "ts",
    "tsx",
    "rs",
    "py",
    "md",
    "json",
    "toml",
    "yaml",
    "yml",
    "service",
    "timer",
    "socket",
    "target",
    "png",
    "svg",
    "html",
    "css",
    "lock",
    "git",
    "txt",
    "onion",
    "go",
    "java",
    "rb",
    "whatsapp",
    "arpa",
];
/// Starts of lines that carry addresses by custom: trailers and headers of commits.
const HEADERS: &[&str] =
    &["author:", "commit:", "commiter:", "from:", "cc:", "author ", "committer ", "tagger "];

pub(super) fn scan(bytes: &[u8], hits: &mut Vec<Hit>) {
    let (mut from, mut line, mut read) = (0, 0, 0);
    while let Some(at) = bytes.get(from..).and_then(|rest| memchr(b'@', rest)) {
        let at = from + at;
        from = at + 1;
        let passed = bytes.get(read..at).unwrap_or_default();
        if let Some(end) = memrchr(b'\n', passed) {
            line = read + end + 1;
        }
        read = at;
        let local = part(
            bytes.get(at.saturating_sub(LOCAL_MAX)..at).unwrap_or_default().iter().rev(),
            b"._%+-",
        );
        let domain = part(
            bytes.get(from..(from + DOMAIN_MAX).min(bytes.len())).unwrap_or_default().iter(),
            b".-",
        );
        let (start, mut end) = (at - local, from + domain);
        while bytes.get(end.saturating_sub(1)).is_some_and(|byte| matches!(byte, b'.' | b'-'))
            && end > from
        {
            end -= 1;
        }
        let (Some(local), Some(domain)) = (bytes.get(start..at), bytes.get(from..end)) else {
            continue;
        };
        let header = bytes.get(line..start).unwrap_or_default();
        let context = (start.checked_sub(1).and_then(|before| bytes.get(before)), bytes.get(end));
        if is_personal(local, domain) && !is_header(header) && !hangs(context) {
            add(hits, "personal.email", Severity::Low, start..end, "a mail address");
        }
    }
}

fn part<'b>(bytes: impl Iterator<Item = &'b u8>, further: &[u8]) -> usize {
    bytes.take_while(|byte| byte.is_ascii_alphanumeric() || further.contains(byte)).count()
}

/// A password in an address of the web, a path, a remote of git, a handle.
fn hangs((before, behind): (Option<&u8>, Option<&u8>)) -> bool {
    before.is_some_and(|byte| matches!(byte, b'/' | b':' | b'@' | b'#')) && before != Some(&b':')
        || behind.is_some_and(|byte| matches!(byte, b'@' | b'(' | b'_' | b'/'))
}

fn is_personal(local: &[u8], domain: &[u8]) -> bool {
    let (local, domain) = (local.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let (Ok(local), Ok(domain)) = (std::str::from_utf8(&local), std::str::from_utf8(&domain))
    else {
        return false;
    };
    let Some((names, top)) = domain.rsplit_once('.') else { return false };
    let second = names.rsplit('.').next().unwrap_or_default();
    let name = local.split('+').next().unwrap_or_default();
    !local.is_empty()
        && top.len() >= 2
        && top.bytes().all(|byte| byte.is_ascii_lowercase())
        && second.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && !matches!(
            second,
            "example" | "noreply" | "github" | "localhost" | "yourdomain" | "domain"
        )
        && !names.split('.').any(|label| label.is_empty() || label == "noreply")
        && !ENDS.contains(&top)
        && !ROLES.contains(&name)
        && !name.contains("noreply")
        && !name.ends_with("[bot]")
}

/// `Signed-off-by: ` and its like, and headers.
fn is_header(line: &[u8]) -> bool {
    let start =
        line.get(..line.len().min(40)).unwrap_or_default().trim_ascii_start().to_ascii_lowercase();
    let trailer = start.windows(4).any(|part| part == b"-by:" || part == b"-to:");
    trailer || HEADERS.iter().any(|header| start.starts_with(header.as_bytes()))
}
