//! `--mail-url`: where mail goes.

use std::path::PathBuf;

use secrecy::SecretString;

use super::smtp::{Credentials, Endpoint, Limits, Tls};

/// Where mail goes.
#[derive(Debug)]
pub enum MailTarget {
    /// To a relay.
    Smtp(Endpoint),
    /// Into a folder, one file a mail.
    Folder(PathBuf),
}

/// Reads a mail URL: `smtps://user:password@host:465` (implicit TLS, RFC 8314), `smtp://host:587` (STARTTLS required),
/// `smtp://localhost:1025` (plain, refused together with a password), `file:///folder`. `?tls=required` and `?tls=none`
/// say it aloud. Errors never repeat the URL: it may hold a password.
pub fn parse(text: &str, extra_root: Option<Vec<u8>>) -> Result<MailTarget, String> {
    let (scheme, rest) = text.split_once("://").ok_or("the mail URL begins with smtps://, smtp:// or file://")?;
    if scheme == "file" {
        if !rest.starts_with('/') {
            return Err("a mail folder is written file:///folder".into());
        }
        return Ok(MailTarget::Folder(PathBuf::from(rest)));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let rest = rest.trim_end_matches('/');
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, rest),
    };
    let credentials = login.map(|login| {
        let (user, password) = login.split_once(':').ok_or("the mail URL names a user without a password")?;
        Ok::<_, String>(Credentials { user: decode(user)?, password: SecretString::from(decode(password)?) })
    });
    let credentials = credentials.transpose()?;
    let (host, port) = host_and_port(place)?;
    let is_local = host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let wish = match query {
        "" => None,
        "tls=required" => Some(true),
        "tls=none" => Some(false),
        _ => return Err("the only option of a mail URL is tls=required or tls=none".into()),
    };
    let tls = match (scheme, wish) {
        ("smtps", None | Some(true)) => Tls::Implicit,
        ("smtps", Some(false)) => return Err("smtps:// is TLS: tls=none contradicts it".into()),
        ("smtp", Some(true)) => Tls::Starttls,
        ("smtp", Some(false)) => Tls::None,
        ("smtp", None) if is_local && credentials.is_none() => Tls::None,
        ("smtp", None) => Tls::Starttls,
        _ => return Err("the mail URL begins with smtps://, smtp:// or file://".into()),
    };
    if tls == Tls::None && credentials.is_some() {
        return Err("a password is never sent without TLS: use smtps://, or smtp:// with tls=required".into());
    }
    let port = port.unwrap_or(if tls == Tls::Implicit { 465 } else { 587 });
    Ok(MailTarget::Smtp(Endpoint { host, port, tls, credentials, extra_root, limits: Limits::default() }))
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let sound = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(sound) {
        return Err("the mail URL names no host".into());
    }
    let port = port.map(|port| port.parse().map_err(|_| "the port of the mail URL is a number up to 65535".to_owned()));
    Ok((host.to_owned(), port.transpose()?))
}

/// Percent-decoding (RFC 3986, 2.1) of user and password.
fn decode(text: &str) -> Result<String, String> {
    let error = || "user and password of the mail URL are percent-encoded UTF-8".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (pair, tail) = rest.split_at_checked(2).ok_or_else(error)?;
            let pair = std::str::from_utf8(pair).map_err(|_| error())?;
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| error())?);
            rest = tail;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        match parse(text, None) {
            Ok(MailTarget::Smtp(endpoint)) => endpoint,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn tls_is_required_unless_the_relay_is_on_this_machine() {
        for (text, tls, port) in [
            ("smtps://mail.example", Tls::Implicit, 465),
            ("smtp://mail.example", Tls::Starttls, 587),
            ("smtp://mail.example:25?tls=none", Tls::None, 25),
            ("smtp://localhost:1025", Tls::None, 1025),
            ("smtp://127.0.0.1:1025/", Tls::None, 1025),
            ("smtp://[::1]:1025?tls=required", Tls::Starttls, 1025),
            ("smtp://u:p@localhost:1025", Tls::Starttls, 1025),
        ] {
            let endpoint = endpoint(text);
            assert_eq!((endpoint.tls, endpoint.port), (tls, port), "{text}");
        }
    }

    #[test]
    fn user_and_password_are_percent_encoded() {
        let credentials = endpoint("smtps://a%40b:p%3Aw%2F@mail.example").credentials.expect("credentials");
        assert_eq!((credentials.user.as_str(), credentials.password.expose_secret()), ("a@b", "p:w/"));
    }

    #[test]
    fn a_wrong_url_is_explained_without_its_password() {
        for text in [
            "mail.example",
            "http://u:hunter2@mail.example",
            "smtp://u:hunter2@mail.example?tls=none",
            "smtps://u:hunter2@mail.example?tls=none",
            "smtps://u:hunter2@mail.example:99999",
            "smtps://u:hunter2%zz@mail.example",
            "smtps://u:hunter2@",
            "smtps://hunter2@mail.example",
            "file://folder",
        ] {
            let error = parse(text, None).expect_err(text);
            assert!(!error.contains("hunter2") && error.len() > 10, "{error}");
        }
        let shown = format!("{:?}", endpoint("smtps://u:hunter2@mail.example"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
