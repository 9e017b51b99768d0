//! All languages and all occasions. How they read as a whole stands in tests/mails.

mod own;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::testing::t;
use super::words::{Sentences, languages};
use super::*;

const LINK: &str = "https://portal.example/invitation#abc";

fn occasions() -> [Occasion; 5] {
    let url = || "https://acme.example/?a=1&b=2".to_owned();
    [
        Occasion::Invitation,
        Occasion::Reminder,
        Occasion::Activation { url: url() },
        Occasion::Accepted { url: Some(url()) },
        Occasion::Expired { url: Some(url()) },
    ]
}

fn letter(occasion: Occasion) -> Letter {
    Letter {
        occasion,
        locales: vec!["en".into()],
        texts: Arc::default(),
        portal: None,
        tenant: "ACME & Söhne <b>".into(),
        given_name: Some("Grace".into()),
        inviter: Some("Ada Lovelace".into()),
        invitee: Some("Alan Turing (alan@acme.example)".into()),
        message: Some("See you on board!\n<script>alert(1)</script>".into()),
        expiration: Some(t(0)),
    }
}

fn in_language(occasion: Occasion, tag: &str) -> Letter {
    Letter { locales: vec![tag.into()], ..letter(occasion) }
}

fn bare(letter: Letter) -> Letter {
    Letter { given_name: None, inviter: None, invitee: None, message: None, ..letter }
}

#[test]
fn every_mail_in_every_language_carries_one_link_the_same_in_text_and_html() {
    for language in languages() {
        for occasion in occasions() {
            let url = occasion.url(LINK).to_owned();
            for letter in [in_language(occasion.clone(), language.tag), bare(in_language(occasion, language.tag))] {
                let what = format!("{} in {}", letter.occasion.as_str(), language.tag);
                let mail = letter.compose(LINK).expect("composed");
                assert_eq!(mail.language, language.tag, "{what}");
                assert_eq!(mail.text.matches(&url).count(), 1, "{what}: {}", mail.text);
                assert_eq!(mail.text.matches("://").count(), 1, "{what}: {}", mail.text);
                assert_eq!(html::leading_to(&mail.html, &url), 2, "{what}: a button, and the link below it");
                assert_eq!(html::only_words(&mail.html, &url, &[]), Ok(()), "{what}");
                assert_eq!(mail.html.matches("://").count(), 3, "{what}: {}", mail.html);
                assert!(mail.html.contains(&format!("<html lang=\"{}\"", language.tag)), "{what}");
                assert!(!mail.subject.is_empty() && !mail.subject.contains("  "), "{what}: {}", mail.subject);
            }
        }
    }
}

#[test]
fn news_without_an_address_of_the_portal_carry_no_link() {
    for occasion in [Occasion::Accepted { url: None }, Occasion::Expired { url: None }] {
        let mail = letter(occasion).compose(LINK).expect("composed");
        assert!(!mail.text.contains("://") && !mail.html.contains("href"), "{}", mail.text);
    }
}

/// The templates of one language, by name.
fn templates(language: &Language) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from(
        [("to_place", &language.to_place), ("greeting", &language.greeting), ("date", &language.date)]
            .map(|(name, text)| (name.to_owned(), text.clone())),
    );
    for occasion in Occasion::WORDS {
        let Sentences { subject, preheader, lead, call, action, notes } = language.sentences(occasion);
        for (name, text) in
            [("subject", subject), ("preheader", preheader), ("lead", lead), ("call", call), ("action", action)]
        {
            all.insert(format!("{occasion}.{name}"), text.clone());
        }
        for (n, note) in notes.iter().enumerate() {
            all.insert(format!("{occasion}.note {n}"), note.clone());
        }
    }
    all
}

#[test]
fn all_languages_say_the_same_of_the_same() {
    let names = |language: &Language| -> BTreeMap<String, Vec<String>> {
        let sorted = |text: &String| {
            let mut names: Vec<String> = engine::names(text).expect("a template").into_iter().collect();
            names.sort();
            names
        };
        templates(language).iter().map(|(name, text)| (name.clone(), sorted(text))).collect()
    };
    let english = names(words::english());
    assert_eq!(english["invitation.subject"], ["inviter", "to_place"]);
    for language in languages() {
        assert_eq!(names(language), english, "{}", language.tag);
    }
}

#[test]
fn a_regional_tag_falls_back_to_its_language_and_an_unknown_one_to_the_next() {
    for (wanted, language) in [
        (&["de"][..], "de"),
        (&["de-AT"], "de"),
        (&["DE_ch"], "de"),
        (&["fr-CA-x-private", "en"], "fr"),
        (&["pt", "es", "en"], "es"),
        (&["pt-BR", "en"], "en"),
        (&["deu"], "en"),
        (&["da", "de", "fr"], "da"),
        (&[], "en"),
        (&["", "-", "ja"], "en"),
    ] {
        let locales = wanted.iter().map(|tag| (*tag).to_owned()).collect();
        let mail = Letter { locales, ..letter(Occasion::Invitation) }.compose(LINK).expect("composed");
        assert_eq!(mail.language, language, "{wanted:?}");
    }
    let some = |tag: &str| Some(tag.to_owned());
    assert_eq!(super::languages([&some("fr"), &some("de")], Some(&"da".into())), ["fr", "de", "da"]);
    assert_eq!(super::languages([&None, &None], None), ["en"]);
}

#[test]
fn a_time_is_told_in_the_words_of_the_language_with_its_zone() {
    for (tag, at, words) in [
        ("en", 0, "Friday, 15 January 2027, 08:00 UTC"),
        ("de", 0, "Freitag, 15. Januar 2027, 08:00 Uhr (UTC)"),
        ("fr", 0, "vendredi 15 janvier 2027 à 08:00 (UTC)"),
        ("fr", 17 * 86_400, "lundi 1er février 2027 à 08:00 (UTC)"),
        ("es", 0, "viernes, 15 de enero de 2027, 08:00 (UTC)"),
        ("da", 0, "fredag den 15. januar 2027 kl. 08.00 (UTC)"),
        ("de", 44 * 86_400 + 3661, "Sonntag, 28. Februar 2027, 09:01 Uhr (UTC)"),
    ] {
        assert_eq!(words::nearest(tag).in_words(t(at)).expect("words"), words);
        let mail = Letter { expiration: Some(t(at)), ..in_language(Occasion::Invitation, tag) };
        let mail = mail.compose(LINK).expect("composed");
        assert!(mail.text.contains(words) && mail.html.contains(words), "{tag}: {}", mail.text);
    }
}

#[test]
fn what_people_wrote_is_never_html_and_never_a_template() {
    let evil = "<script>alert(1)</script>{{ 7 * 7 }}{% for x in y %}";
    for occasion in occasions() {
        let text = || Some(evil.to_owned());
        let letter = Letter {
            portal: text(),
            tenant: evil.into(),
            given_name: text(),
            inviter: text(),
            invitee: text(),
            message: text(),
            ..letter(occasion)
        };
        let mail = letter.compose(LINK).expect("composed");
        assert!(!mail.html.contains("<script") && mail.html.contains("{{ 7 * 7 }}"), "{}", mail.html);
        assert!(mail.text.contains(evil));
    }
}

#[test]
fn a_product_is_called_by_its_name() {
    let words = Letter { portal: Some("Rotor <Portal>".into()), ..letter(Occasion::Invitation) };
    let mail = words.compose("l").expect("composed");
    assert_eq!(mail.subject, "Ada Lovelace invites you to Rotor <Portal> for ACME & Söhne <b>");
    assert!(mail.text.contains("Ada Lovelace invites you to Rotor <Portal> for ACME & Söhne <b>."), "{}", mail.text);
    assert!(mail.html.contains("Rotor &lt;Portal&gt;"), "{}", mail.html);
}

#[test]
fn a_subject_is_one_line() {
    let words = Letter { tenant: "ACME\r\n & Söhne\u{2028}\u{85}GmbH".into(), ..letter(Occasion::Invitation) };
    let subject = words.compose("l").expect("composed").subject;
    assert_eq!(subject, "Ada Lovelace invites you to the customer portal of ACME & Söhne GmbH");
}

#[test]
fn nothing_of_a_composed_letter_is_shown_by_debug() {
    let mail = letter(Occasion::Invitation).compose("https://secret.example/").expect("composed");
    assert_eq!(format!("{mail:?}"), "Composed(…)");
}
