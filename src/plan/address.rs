//! E-mail addresses: how they are written, compared and handed to a relay.

use std::fmt;

/// An address that can be mailed, in the form in which addresses are compared: trimmed, case-folded, the domain in its
/// ASCII form (IDNA). Plus-aliases are distinct addresses. Equality is that of addresses, not of letters.
#[derive(Clone, Debug)]
pub struct Address {
    canonical: String,
    mailbox: String,
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Address {}

impl Address {
    /// Reads an address. None: it has no mailbox that SMTP can name (RFC 5321, 4.5.3.1: 64 octets before the `@`, 254
    /// in all; quoted local parts and address literals are refused).
    pub fn parse(text: &str) -> Option<Address> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@')?;
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !r#""(),:;<>[]\"#.contains(c);
        if local.is_empty() || local.len() > 64 || !local.chars().all(|c| plain(c) && c != '@') {
            return None;
        }
        // What looks like an encoded word (RFC 2047) is decoded by some on the way, to an address of somebody else's choice.
        if local.starts_with('.') || local.contains("=?") || local.ends_with('.') || local.contains("..") {
            return None;
        }
        let domain = idna::domain_to_ascii_strict(domain).ok()?;
        let label = |l: &str| !l.is_empty() && l.len() <= 63;
        if domain.len() > 253 || !domain.split('.').all(label) || domain.parse::<std::net::IpAddr>().is_ok() {
            return None;
        }
        let canonical = format!("{}@{domain}", local.to_lowercase());
        let mailbox = format!("{local}@{domain}");
        (mailbox.len() <= 254 && canonical.len() <= 320).then_some(Address { canonical, mailbox })
    }

    /// The form in which addresses are compared.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The form that goes to the relay: the local part as it was written, the domain in ASCII.
    pub fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// The domain, in ASCII and lower case.
    pub fn domain(&self) -> &str {
        self.canonical.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// Whether the domain is one of these. Entries are compared as domains are, so `Müller.example` matches its
    /// punycode; sub domains are named by themselves.
    pub fn is_in(&self, domains: &[String]) -> bool {
        domains
            .iter()
            .any(|d| idna::domain_to_ascii(d.trim().trim_start_matches('@')).is_ok_and(|ascii| ascii == self.domain()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_trimmed_and_without_case() {
        let same = ["ada@acme.example", " Ada@ACME.example ", "ADA@acme.EXAMPLE"];
        for text in same {
            assert_eq!(Address::parse(text).expect(text).canonical(), "ada@acme.example");
            assert_eq!(Address::parse(text), Address::parse("ada@acme.example"), "one address in other letters");
        }
        assert_ne!(Address::parse("ada+x@acme.example"), Address::parse("ada@acme.example"));
    }

    #[test]
    fn a_domain_of_any_script_is_written_in_ascii() {
        let address = Address::parse("Ada@Müller.example").expect("an address");
        assert_eq!(address.mailbox(), "Ada@xn--mller-kva.example");
        assert!(address.is_in(&["MÜLLER.example".into()]) && !address.is_in(&["example".into()]));
    }

    #[test]
    fn what_smtp_cannot_name_is_refused() {
        let long = format!("{}@a.example", "x".repeat(65));
        for text in [
            "",
            "ada",
            "@acme.example",
            "ada@",
            "a b@acme.example",
            "\"a b\"@acme.example",
            "ada@[127.0.0.1]",
            "ada@a..b",
            ".ada@a.example",
            "ada@127.0.0.1",
            "a\r\n@b.example",
            "=?utf-8?q?eve=40evil.example=3e?=@acme.example",
            "ada@-x-.example\u{202e}",
            &long,
        ] {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
    }
}
