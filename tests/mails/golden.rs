//! How all letters read. `REWRITE=1 cargo test --test mails letters` writes the files anew: read what changed.

use std::sync::Arc;

use portal_operator::plan::letter::{Letter, Occasion};

use super::{LINK, now};

#[test]
fn all_letters_read_as_they_did() {
    let url = || "https://acme.example/".to_owned();
    let occasions = [
        Occasion::Invitation,
        Occasion::Reminder,
        Occasion::Activation { url: url() },
        Occasion::Accepted { url: Some(url()) },
        Occasion::Expired { url: Some(url()) },
    ];
    for language in ["en", "de", "fr", "es", "da"] {
        let mut all = String::new();
        for occasion in &occasions {
            let whole = Letter {
                occasion: occasion.clone(),
                locales: vec![language.into()],
                texts: Arc::default(),
                portal: Some("Rotor Portal".into()),
                tenant: "ACME Corporation".into(),
                given_name: Some("Grace".into()),
                inviter: Some("Ada Lovelace".into()),
                invitee: Some("Alan Turing (alan@acme.example)".into()),
                message: Some("See you on board!\nAda".into()),
                expiration: Some(now()),
            };
            let bare = Letter { portal: None, given_name: None, inviter: None, message: None, ..whole.clone() };
            for letter in [whole, bare] {
                let mail = letter.compose(LINK).expect("composed");
                all += &format!("=== {}\nSubject: {}\n\n{}\n", occasion.as_str(), mail.subject, mail.text);
            }
        }
        let path = format!("{}/tests/mails/letters.{language}.golden", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &all).expect("written");
        }
        let golden = std::fs::read_to_string(&path).expect(&path);
        assert!(all == golden, "{path}: the words changed; REWRITE=1, and read the difference");
    }
}
