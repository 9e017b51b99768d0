//! Links: derived from a key when they are needed, stored nowhere.
//!
//! `<invitation URL>/invitation#<token>`, token = base64url(version ‖ key id ‖ serial ‖ UID ‖ MAC ‖ namespace/name),
//! MAC = HMAC-SHA256(key, all else ‖ purpose). A forged token dies at the MAC, before anything is looked up, and every
//! forgery costs the same time. The fragment reaches no server's log, no proxy and no Referer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use crate::plan::Purpose;

const VERSION: u8 = 1;
const UID: usize = 16;
const MAC: usize = 32;
/// Version, key number, serial and UID.
const HEAD: usize = 1 + 4 + 4 + UID;
/// Longest token: namespace and name may have 63 and 253 characters.
const LONGEST: usize = 600;
/// Shortest key that is accepted, in bytes (RFC 2104 advises the length of the hash).
const SHORTEST_KEY: usize = 32;
const KEY_PREFIX: &str = "key-";

/// A link as it goes into a mail or Secret.
///
/// WARNING: whoever reads it can accept the invitation. It has no `Display` and no `Serialize`, and its `Debug` tells
/// nothing.
pub struct Link(String);

impl Link {
    /// The text, for the one mail or Secret that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link(…)")
    }
}

/// What a genuine token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Namespace of the invitation.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Serial of the link.
    pub serial: i64,
}

/// The keys that sign and verify links: `key-1`, `key-2`, …; the one of the highest number signs.
#[derive(Default)]
pub struct Keys(RwLock<BTreeMap<u32, SecretSlice<u8>>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    /// Takes the content of the Secret. Entries that are no keys are named, not their content.
    pub fn replace<'a>(&self, data: impl Iterator<Item = (&'a String, &'a [u8])>) -> Vec<String> {
        let mut refused = Vec::new();
        let mut keys = BTreeMap::new();
        for (name, text) in data {
            let number = name.strip_prefix(KEY_PREFIX).and_then(|n| n.parse::<u32>().ok());
            let key = STANDARD.decode(text.trim_ascii()).ok().filter(|key| key.len() >= SHORTEST_KEY);
            match (number, key) {
                (Some(number), Some(key)) => {
                    keys.insert(number, SecretSlice::from(key));
                }
                _ => refused.push(name.clone()),
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        refused
    }

    /// Name of the key that signs.
    pub fn signing(&self) -> Option<String> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.last_key_value().map(|(number, _)| format!("{KEY_PREFIX}{number}"))
    }

    /// The link that this claim is worth. None: the key is gone, or the claim is none of an invitation's.
    pub fn link(&self, base: &str, key_id: &str, claim: &Claim) -> Option<Link> {
        let number: u32 = key_id.strip_prefix(KEY_PREFIX)?.parse().ok()?;
        let mut token = vec![VERSION];
        token.extend(number.to_be_bytes());
        token.extend(u32::try_from(claim.serial).ok()?.to_be_bytes());
        token.extend(uid_bytes(&claim.uid)?);
        let place = format!("{}/{}", claim.namespace, claim.name);
        let mac = self.mac(number, &token, place.as_bytes())?.finalize().into_bytes();
        token.extend(mac);
        token.extend(place.as_bytes());
        Some(Link(format!("{}/invitation#{}", base.trim_end_matches('/'), URL_SAFE_NO_PAD.encode(token))))
    }

    /// What this token claims, if it is genuine. One answer for everything else.
    pub fn verify(&self, token: &str) -> Option<Claim> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token.trim()).ok()?;
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let (mac, place) = rest.split_at_checked(MAC)?;
        let number = u32::from_be_bytes(head.get(1..5)?.try_into().ok()?);
        let serial = u32::from_be_bytes(head.get(5..9)?.try_into().ok()?);
        if head.first() != Some(&VERSION) {
            return None;
        }
        self.mac(number, head, place)?.verify_slice(mac).ok()?;
        let (namespace, name) = std::str::from_utf8(place).ok()?.split_once('/')?;
        let hex: String = head.get(9..)?.iter().map(|b| format!("{b:02x}")).collect();
        let uid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        Some(Claim { namespace: namespace.into(), name: name.into(), uid, serial: serial.into() })
    }

    fn mac(&self, number: u32, head: &[u8], place: &[u8]) -> Option<Hmac<Sha256>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut mac = Hmac::<Sha256>::new_from_slice(keys.get(&number)?.expose_secret()).ok()?;
        for part in [head, place, Purpose::Invitation.as_str().as_bytes()] {
            mac.update(part);
        }
        Some(mac)
    }
}

/// A fresh key, as it stands in the Secret.
pub fn new_key() -> Result<String, getrandom::Error> {
    let mut key = [0u8; SHORTEST_KEY];
    getrandom::fill(&mut key)?;
    Ok(STANDARD.encode(key))
}

/// The bytes of a UID (RFC 9562), as the API server writes it.
fn uid_bytes(uid: &str) -> Option<[u8; UID]> {
    let digits: Vec<u8> = uid.bytes().filter(|b| *b != b'-').collect();
    let mut bytes = [0; UID];
    if digits.len() != 2 * UID {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(numbers: &[u32]) -> Keys {
        let keys = Keys::default();
        let data: Vec<(String, String)> = numbers
            .iter()
            .map(|n| (format!("key-{n}"), STANDARD.encode([u8::try_from(*n).unwrap_or(0); 32])))
            .collect();
        assert!(keys.replace(data.iter().map(|(name, key)| (name, key.as_bytes()))).is_empty());
        keys
    }

    fn claim() -> Claim {
        Claim {
            namespace: "portal".into(),
            name: "grace".into(),
            uid: "0f8fad5b-d9cb-469f-a165-70867728950e".into(),
            serial: 3,
        }
    }

    fn token(keys: &Keys, key_id: &str) -> String {
        let link = keys.link("https://portal.example/", key_id, &claim()).expect("a link");
        link.expose().strip_prefix("https://portal.example/invitation#").expect("the form of a link").to_owned()
    }

    #[test]
    fn a_link_says_what_was_claimed_and_is_the_same_each_time() {
        let keys = keys(&[1]);
        assert_eq!(token(&keys, "key-1"), token(&keys, "key-1"));
        assert_eq!(keys.verify(&token(&keys, "key-1")), Some(claim()));
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_worth_nothing() {
        let keys = keys(&[1]);
        let genuine = URL_SAFE_NO_PAD.decode(token(&keys, "key-1")).expect("base64");
        for at in 0..genuine.len() {
            let mut forged = genuine.clone();
            forged[at] ^= 1;
            assert_eq!(keys.verify(&URL_SAFE_NO_PAD.encode(&forged)), None, "byte {at}");
            assert_eq!(keys.verify(&URL_SAFE_NO_PAD.encode(&genuine[..at])), None, "cut at {at}");
        }
        for text in ["", "x", "ä", &"A".repeat(10_000)] {
            assert_eq!(keys.verify(text), None);
        }
    }

    #[test]
    fn the_newest_key_signs_and_older_ones_verify_until_they_go() {
        let keys = keys(&[1, 2, 10]);
        assert_eq!(keys.signing().as_deref(), Some("key-10"));
        let old = token(&keys, "key-1");
        assert!(keys.verify(&old).is_some());
        keys.replace(std::iter::empty());
        assert!(keys.verify(&old).is_none() && keys.signing().is_none());
    }

    #[test]
    fn what_is_no_key_is_named() {
        let names = ["key-1", "key-x", "other"].map(str::to_owned);
        let refused = Keys::default().replace(names.iter().map(|name| (name, b"c2hvcnQ=".as_slice())));
        assert_eq!(refused, names);
    }

    #[test]
    fn nothing_of_a_link_or_key_is_shown_by_debug() {
        let keys = keys(&[1]);
        assert_eq!(format!("{:?} {:?}", keys, keys.link("u", "key-1", &claim()).expect("a link")), "Keys(…) Link(…)");
    }
}
