//! Looks for what must not be told, links and the passwords of relays, in whatever dress they come: base64, percent
//! signs, hexadecimal, lists of numbers, folded lines, and one inside the other.
//!
//! A token is known by its shape (src/shell/link.rs). Its MAC is not asked for, so that a leak is found whatever key
//! signed it, and keys need not be known.

use std::borrow::Cow;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The user and the password of every relay of these tests that wants a login. Odd enough to stand nowhere by chance.
pub const RELAY_USER: &str = "operator@portal.example";
pub const RELAY_PASSWORD: &str = "Kolibri/4711+never-told";

/// A MAC, even one that was cut, opens doors to whoever guesses the rest. Less than half of it is worth nothing.
const SHORTEST: usize = HEAD + 16;
/// Version, key number, serial and UID.
const HEAD: usize = 1 + 4 + 4 + 16;
/// How many dresses may lie one over the other.
const DRESSES: usize = 3;
/// Numbers of keys and serials are small in tests: what is larger is no token but chance.
const LARGEST: u32 = 9_999;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Something that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Whose secret it is.
    pub what: String,
    /// Under what it was hidden, the outermost dress first.
    pub dresses: Vec<&'static str>,
    /// What stands before it, to find the place by. Never the secret itself: tests print into logs that people keep.
    pub after: String,
}

/// Everything in these bytes that must not be there.
pub fn leaks(bytes: &[u8]) -> Vec<Leak> {
    let mut found = Vec::new();
    look(bytes, DRESSES, &mut Vec::new(), &mut found);
    found.dedup();
    found
}

fn look(bytes: &[u8], dresses: usize, worn: &mut Vec<&'static str>, found: &mut Vec<Leak>) {
    let mut tell = |what: &str, at: usize| {
        let after = String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at]).into_owned();
        found.push(Leak { what: what.to_owned(), dresses: worn.clone(), after });
    };
    for (what, word) in words() {
        if let Some(at) = position(bytes, word) {
            tell(what, at);
        }
    }
    if let Some(at) = (0..bytes.len()).find(|at| is_token(&bytes[*at..])) {
        tell("a token", at);
    }
    if dresses == 0 {
        return;
    }
    for (name, undressed) in undress(bytes) {
        worn.push(name);
        let before = found.len();
        look(&undressed, dresses - 1, worn, found);
        if worn.len() == 1 {
            // The outermost text is the one that people can search.
            for leak in &mut found[before..] {
                leak.after.retain(|c| !c.is_control());
            }
        }
        worn.pop();
    }
}

/// The password as it is, and as it looks within base64, at each of the three places where it may begin.
fn words() -> &'static [(&'static str, Vec<u8>)] {
    static WORDS: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    WORDS.get_or_init(|| {
        let mut words = vec![("a relay's password", RELAY_PASSWORD.as_bytes().to_vec())];
        for before in 0..3usize {
            let text = [&[0; 3][..before], RELAY_PASSWORD.as_bytes()].concat();
            // Without the characters at both ends that depend on what stands beside it.
            let pure = (before * 8).div_ceil(6)..text.len() * 8 / 6;
            for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                words.push(("a relay's password, in base64", alphabet.encode(&text).as_bytes()[pure.clone()].to_vec()));
            }
        }
        words
    })
}

/// Whether these bytes begin with a token's. Version 4 UIDs have two places that are always the same.
fn is_token(bytes: &[u8]) -> bool {
    bytes.first() == Some(&1) && bytes.len() >= SHORTEST && {
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let sane = |number: u32| (1..=LARGEST).contains(&number);
        sane(number(1)) && sane(number(5)) && bytes[15] >> 4 == 4 && bytes[17] >> 6 == 2
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window[0] == wanted[0] && window == wanted)
}

/// Every reading of these bytes, or of a part of them, as a dress over something else.
fn undress(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut readings = Vec::new();
    let percent = from_percent(bytes);
    readings.extend(percent.map(|bytes| ("percent signs", bytes)));
    readings.extend(unfolded(bytes).map(|bytes| ("folded lines", bytes)));
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    for run in runs(bytes, base64, SHORTEST * 4 / 3) {
        let run: Vec<u8> = run
            .iter()
            .map(|byte| {
                if *byte == b'-' {
                    b'+'
                } else if *byte == b'_' {
                    b'/'
                } else {
                    *byte
                }
            })
            .collect();
        // Where in the run it begins is unknown: all four places are tried.
        for skip in 0..4 {
            let part = &run[skip.min(run.len())..];
            let whole = &part[..part.len() - usize::from(part.len() % 4 == 1)];
            readings.extend(LENIENT.decode(whole).ok().map(|bytes| ("base64", bytes)));
        }
        if run.iter().all(u8::is_ascii_hexdigit) {
            readings.push(("hexadecimal", run.chunks_exact(2).filter_map(from_hex).collect()));
        }
    }
    let list = |byte: &u8| byte.is_ascii_digit() || b", ".contains(byte);
    // The shortest that is looked for is the password, a number of two digits and a comma for each letter.
    for run in runs(bytes, list, RELAY_PASSWORD.len() * 3) {
        let numbers = run.split(|byte| *byte == b',').map(|number| std::str::from_utf8(number).unwrap_or("").trim());
        readings.push(("a list of numbers", numbers.filter_map(|number| number.parse::<u8>().ok()).collect()));
    }
    readings
}

/// The longest stretches of such bytes that have at least this length.
fn runs(bytes: &[u8], is: impl Fn(&u8) -> bool, length: usize) -> impl Iterator<Item = &[u8]> {
    bytes.split(move |byte| !is(byte)).filter(move |run| run.len() >= length)
}

fn from_hex(pair: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
}

/// Without percent-encoding (RFC 3986). None: there was none.
fn from_percent(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        let coded = (byte == b'%').then(|| tail.get(..2).and_then(from_hex)).flatten();
        plain.push(coded.unwrap_or(byte));
        rest = if coded.is_some() { &tail[2..] } else { tail };
    }
    (plain.len() < bytes.len()).then_some(plain)
}

/// Without the line ends that mail programs insert (RFC 2045, 6.7), as they are or as a log shows them.
fn unfolded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Cow::Borrowed(std::str::from_utf8(bytes).ok()?);
    for fold in ["=\r\n", "=\\r\\n", "=\\\\r\\\\n"] {
        if text.contains(fold) {
            text = Cow::Owned(text.replace(fold, ""));
        }
    }
    matches!(text, Cow::Owned(_)).then(|| text.into_owned().into_bytes())
}
