//! Looks for what must not be told, links and the passwords of relays, in whatever dress they come: base64, percent
//! signs, hexadecimal, lists of numbers, folded lines, and one inside the other.
//!
//! A token is known by its shape (src/shell/link.rs). Its MAC is not asked for, so that a leak is found whatever key
//! signed it, and keys need not be known.

use std::borrow::Cow;
use std::ops::Range;
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
    let survey = survey(bytes);
    let before = |at: usize| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at]).into_owned();
    for (what, at) in &survey.secrets {
        found.push(Leak { what: (*what).to_owned(), dresses: worn.clone(), after: before(*at) });
    }
    if dresses == 0 {
        return;
    }
    for (name, at, undressed) in undress(bytes, &survey) {
        worn.push(name);
        let first = found.len();
        look(&undressed, dresses - 1, worn, found);
        worn.pop();
        // The outermost text is the one that people can search, if the place in it is known.
        found[first..].iter_mut().filter(|_| at > 0).for_each(|leak| leak.after = before(at));
    }
}

/// What one walk over the bytes shows.
#[derive(Default)]
struct Survey {
    /// What lies there undressed, and where.
    secrets: Vec<(&'static str, usize)>,
    has_percent: bool,
    has_folds: bool,
    /// Stretches that may be base64 or hexadecimal, and such that may be lists of numbers.
    base64: Vec<Range<usize>>,
    lists: Vec<Range<usize>>,
}

/// Walks once, by hand: a run leaves hundreds of megabytes behind, and tests are compiled without optimization.
fn survey(bytes: &[u8]) -> Survey {
    let (mut survey, words) = (Survey::default(), words());
    let (mut base64_from, mut list_from) = (0, 0);
    let mut at = 0;
    while at <= bytes.len() {
        // One beyond the end, so that the last stretch ends too.
        let byte = if at < bytes.len() { bytes[at] } else { 0 };
        let sorts = SORTS[byte as usize];
        if sorts & BASE64 == 0 {
            if at - base64_from >= SHORTEST * 4 / 3 {
                survey.base64.push(base64_from..at);
            }
            base64_from = at + 1;
        }
        if sorts & LIST == 0 {
            // The shortest list that is looked for is the password: two digits and a comma for each letter.
            if at - list_from >= RELAY_PASSWORD.len() * 3 {
                survey.lists.push(list_from..at);
            }
            list_from = at + 1;
        }
        if sorts & ODD != 0 {
            survey.has_percent |= byte == b'%';
            survey.has_folds |= byte == b'=' && bytes[at + 1..].first().is_some_and(|next| b"\r\\".contains(next));
            if byte == 1 && is_token(&bytes[at..]) {
                survey.secrets.push(("a token", at));
            }
        }
        if words.starts[byte as usize] {
            for (what, word) in &words.words {
                if bytes[at..].starts_with(word) {
                    survey.secrets.push((what, at));
                }
            }
        }
        at += 1;
    }
    survey
}

/// Sorts of bytes, by bits.
const BASE64: u8 = 1;
const LIST: u8 = 2;
const ODD: u8 = 4;
const SORTS: [u8; 256] = {
    let mut sorts = [0; 256];
    let mut n = 0;
    while n < 256 {
        let byte = n as u8;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_') {
            sorts[n] |= BASE64;
        }
        if byte.is_ascii_digit() || matches!(byte, b',' | b' ') {
            sorts[n] |= LIST;
        }
        if matches!(byte, b'%' | b'=' | 1) {
            sorts[n] |= ODD;
        }
        n += 1;
    }
    sorts
};

/// What to look for as it is, and with which bytes it may begin.
struct Words {
    words: Vec<(&'static str, Vec<u8>)>,
    starts: [bool; 256],
}

/// The password as it is, and as it looks within base64, at each of the three places where it may begin.
fn words() -> &'static Words {
    static WORDS: OnceLock<Words> = OnceLock::new();
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
        let mut starts = [false; 256];
        words.iter().for_each(|(_, word)| starts[word[0] as usize] = true);
        Words { words, starts }
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

/// Every reading of these bytes, or of a part of them, as a dress over something else, and where that part begins.
fn undress(bytes: &[u8], survey: &Survey) -> Vec<(&'static str, usize, Vec<u8>)> {
    let mut readings = Vec::new();
    if survey.has_percent {
        readings.extend(from_percent(bytes).map(|plain| ("percent signs", 0, plain)));
    }
    if survey.has_folds {
        readings.extend(unfolded(bytes).map(|plain| ("folded lines", 0, plain)));
    }
    for range in &survey.base64 {
        let standard = |byte: &u8| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        };
        let run: Vec<u8> = bytes[range.clone()].iter().map(standard).collect();
        // Where in the run it begins is unknown: all four places are tried.
        for skip in 0..4 {
            let part = &run[skip..];
            let whole = &part[..part.len() - usize::from(part.len() % 4 == 1)];
            readings.extend(LENIENT.decode(whole).ok().map(|plain| ("base64", range.start, plain)));
        }
        if run.iter().all(u8::is_ascii_hexdigit) {
            readings.push(("hexadecimal", range.start, run.chunks_exact(2).filter_map(from_hex).collect()));
        }
    }
    for range in &survey.lists {
        let numbers = bytes[range.clone()].split(|byte| *byte == b',');
        let numbers = numbers.map(|number| std::str::from_utf8(number).unwrap_or("").trim());
        let plain = numbers.filter_map(|number| number.parse::<u8>().ok()).collect();
        readings.push(("a list of numbers", range.start, plain));
    }
    readings
}

fn from_hex(pair: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
}

/// Without percent-encoding (RFC 3986). None: there was none.
fn from_percent(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut parts = bytes.split(|byte| *byte == b'%');
    let mut plain = parts.next()?.to_vec();
    let mut is_coded = false;
    for part in parts {
        match part.get(..2).and_then(from_hex) {
            Some(byte) => {
                is_coded = true;
                plain.push(byte);
                plain.extend_from_slice(&part[2..]);
            }
            None => {
                plain.push(b'%');
                plain.extend_from_slice(part);
            }
        }
    }
    is_coded.then_some(plain)
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
