//! A portal's own texts: which is used, what is wrong with others, and that a wrong one stops no mail.

use super::*;

fn entries(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}

fn read(all: &[(&str, &str)]) -> (Texts, Vec<String>) {
    let (good, faults) = Texts::read(&entries(all), &Texts::default());
    (good, faults.iter().map(ToString::to_string).collect())
}

fn with(all: &[(&str, &str)], locales: &[&str]) -> Composed {
    let (texts, faults) = read(all);
    assert_eq!(faults, Vec::<String>::new());
    let locales = locales.iter().map(|tag| (*tag).to_owned()).collect();
    Letter { texts: Arc::new(texts), locales, ..letter(Occasion::Invitation) }.compose(LINK).expect("composed")
}

const GERMAN: [(&str, &str); 3] = [
    ("invitation.de.subject", "Willkommen bei {{ tenant }}"),
    ("invitation.de.txt", "Hallo {{ given_name }},\n\n{{ url }}\n\nBis {{ expiration }}.\n"),
    (
        "invitation.de.html",
        "<!doctype html><html lang=\"{{ lang }}\"><p>Hallo {{ given_name }}</p><a href=\"{{ url }}\">Los</a>",
    ),
];

#[test]
fn a_portals_own_words_are_used_whole() {
    let mail = with(&GERMAN, &["de-AT", "en"]);
    assert_eq!(mail.subject, "Willkommen bei ACME & Söhne <b>");
    assert_eq!(mail.text, format!("Hallo Grace,\n\n{LINK}\n\nBis Freitag, 15. Januar 2027, 08:00 Uhr (UTC).\n"));
    assert!(mail.html.starts_with("<!doctype html><html lang=\"de\"><p>Hallo Grace</p>"), "{}", mail.html);
    assert!(mail.html.contains(&format!("<a href=\"{LINK}\">Los</a>")), "{}", mail.html);
}

#[test]
fn the_readers_language_comes_first_then_the_portals_general_text_then_what_is_built_in() {
    let general = [("invitation.subject", "General"), ("invitation.txt", "{{ url }} {{ lang }} {{ expiration }}")];
    let both = [&GERMAN[..], &general[..]].concat();
    let portuguese = [("invitation.pt.subject", "Convite"), ("invitation.pt.txt", "{{ url }}")];
    let swiss = [("invitation.de-CH.subject", "Grüezi"), ("invitation.de-CH.txt", "{{ url }}")];
    for (texts, locales, subject) in [
        (&both[..], &["de", "en"][..], "Willkommen bei ACME & Söhne <b>"),
        (&both, &["fr", "en"], "General"),
        (&GERMAN, &["fr", "de"], "Ada Lovelace vous invite au portail client de la société ACME & Söhne <b>"),
        (&GERMAN, &["ja", "de"], "Willkommen bei ACME & Söhne <b>"),
        (&portuguese, &["pt-BR", "en"], "Convite"),
        (&swiss, &["de-CH", "en"], "Grüezi"),
        (&swiss, &["de", "en"], "Ada Lovelace lädt Sie zum Kundenportal von ACME & Söhne <b> ein"),
    ] {
        assert_eq!(with(texts, locales).subject, subject, "{locales:?}");
    }
    // The general text is in the portal's language, and so are its dates.
    let mail = with(&general, &["fr", "da"]);
    assert!(mail.text.contains(" da fredag den 15. januar"), "{}", mail.text);
}

#[test]
fn parts_that_a_portal_does_not_write_are_made() {
    let mail = with(&[("invitation.subject", "Only {{ tenant }}")], &["de"]);
    assert!(mail.subject == "Only ACME & Söhne <b>" && mail.text.contains("lädt Sie"), "{}", mail.text);
    let text = "Dear {{ given_name }},\n\nfirst line\n& second\n\n> {{ message }}\n\nGo: {{ url }}\n\nBye";
    let mail = with(&[("invitation.txt", text)], &["en"]);
    assert!(mail.subject.starts_with("Ada Lovelace invites you"), "{}", mail.subject);
    assert_eq!(html::leading_to(&mail.html, LINK), 2, "a button, and the link below it");
    for words in ["Dear Grace,", "first line<br>&amp; second", "Bye", "&lt;script&gt;"] {
        assert!(mail.html.contains(words), "{words} in {}", mail.html);
    }
}

#[test]
fn a_page_goes_by_its_language_and_not_by_the_names_in_it() {
    let arabic = [("invitation.ar.subject", "x"), ("invitation.ar.txt", "{{ url }}")];
    for (texts, locale, direction) in [(&arabic[..], "ar-EG", "rtl"), (&[], "de", "ltr")] {
        let (texts, _) = read(texts);
        let name = || Some("عدة".to_owned());
        let letter = Letter {
            texts: Arc::new(texts),
            inviter: name(),
            portal: name(),
            ..in_language(Occasion::Invitation, locale)
        };
        let html = letter.compose(LINK).expect("composed").html;
        assert!(html.contains(&format!(" dir=\"{direction}\">")), "{html}");
    }
}

#[test]
fn what_is_wrong_is_told_with_key_and_line() {
    let with_text = |html: &'static str| vec![("invitation.de.txt", "{{ url }}"), ("invitation.de.html", html)];
    for (texts, told) in [
        (
            vec![("invitation.de.txt", "Hi\n\n{{ tennant }} {{ url }}")],
            "invitation.de.txt, line 3: unknown variable tennant",
        ),
        (vec![("invitation.de.txt", "Hi\n{% if inviter %}x\n{{ url }}")], "invitation.de.txt, line 3: unexpected end"),
        (vec![("invitation.txt", "Hi {{ tenant }}")], "invitation.txt: it has no link: write {{ url }}"),
        (vec![("invitation.txt", "{% if inviter %}{{ url }}{% endif %}")], "invitation.txt: it has no link"),
        (vec![("invitation.txt", "{{ url }} {{ url }}")], "invitation.txt: it has the link more than once"),
        (vec![("invitation.txt", "{{ url }} https://x.example/")], "take \"https://x.example/\" out"),
        (
            vec![("invitation.txt", "{{ url }}\n{{ tenant | shout }}")],
            "invitation.txt, line 2: filter shout is unknown",
        ),
        (
            vec![("invitation.txt", "{{ url }}\n{% set x = 1 %}")],
            "invitation.txt, line 2: the tag \"set\" is not for mails",
        ),
        (vec![("invitation.txt", "{% include 'x' %}{{ url }}")], "line 1: the tag \"include\" is not for mails"),
        (vec![("invitation.txt", "{{ url ~ url }}")], "line 1: nothing is calculated in a mail"),
        (vec![("invitation.subject", " {{ given_name }} ")], "invitation.subject: the subject is empty"),
        (vec![("invitation.subject", "{{ tenant.name }}")], "invitation.subject, line 1: undefined value"),
        (vec![("invitation.de.html", "x")], "invitation.de.html: it has no text beside it"),
        (vec![("invitation.pt.txt", "{{ url }}")], "invitation.pt.txt: it has no subject beside it"),
        (vec![("Invitation.de.txt", "x")], "Invitation.de.txt: no such text"),
        (vec![("invitation.de.text", "x")], "invitation.de.text: no such text"),
        (vec![("welcome.txt", "x")], "welcome.txt: no such text"),
        (with_text("<p>no link</p>"), "invitation.de.html: it has no link: write {{ url }}"),
        (with_text("<a href='{{ url }}'>x</a><img src=\"https://t.example/p.gif\">"), "no remote images"),
        (
            with_text("<a href=\"{{ url }}\">x</a><a href=https://imprint.example>y</a>"),
            "take \"https://imprint.example\" out",
        ),
        (with_text("<a href=\"{{ url }}\">x</a><div style=\"background:url('a.png')\">"), "url(…)"),
        (with_text("<a href=\"{{ url }}\">x</a><script>1</script>"), "<script> is not for mails"),
        (
            vec![(
                "invitation.txt",
                "{{ url }}{% for a in message_lines %}{% for b in [1,2,3,4,5,6,7,8,9] %}{% for c in [1,2,3,4,5,6,7,8,9] %}{% for d in [1,2,3,4,5,6,7,8,9] %}{% for e in [1,2,3,4,5,6,7,8,9] %}x{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
            )],
            "it takes too long",
        ),
    ] {
        let (good, faults) = read(&texts);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains(told), "{told:?} in {faults:?}");
        // And the mail goes out in the built-in words.
        let letter = Letter { texts: Arc::new(good), ..in_language(Occasion::Invitation, "de") };
        assert!(letter.compose(LINK).expect("composed").text.contains("lädt Sie"), "{told}");
    }
}

#[test]
fn a_text_that_would_overflow_the_stack_is_a_fault_and_one_at_the_bounds_is_none() {
    let repeated = |before: &str, what: &str, times: usize, after: &str| {
        format!("{{{{ url }}}}\n{before}{}{after}", what.repeat(times))
    };
    for (text, told) in [
        (repeated("{{ portal", "|trim", 2000, " }}"), "line 2: a tag has at most"),
        (repeated("{{ portal", "\n|trim", 90, " }}"), "a tag has at most"),
        (repeated("{% if ", "not ", 20_000, "portal %}x{% endif %}"), "line 2: a tag has at most"),
        (repeated("{{ ", "-", 20_000, "1 }}"), "line 2: a tag has at most"),
        (repeated("{{ ", "(", 20_000, "1 }}"), "line 2: a tag has at most"),
        (repeated("{% if portal", " and portal", 5000, " %}{% endif %}"), "line 2: a tag has at most"),
        (repeated("{{ portal", ".a", 5000, " }}"), "line 2: a tag has at most"),
        (repeated("{{ portal", "[0]", 5000, " }}"), "line 2: a tag has at most"),
        (repeated("{{ ", "1 if portal else ", 5000, "2 }}"), "line 2: a tag has at most"),
        (repeated("{{ '", "x", 5000, "' }}"), "line 2: a tag has at most"),
        (repeated("{% if portal %}a", "{% elif portal %}b", 400, "{% endif %}"), "line 2: it has more than 20 elif"),
        (repeated("", "{% if portal %}", 140, &"{% endif %}".repeat(140)), "line 2: more than 20 tags stand in each"),
        (repeated("", "{{ portal }}", 600, ""), "line 2: it has more than 500 tags"),
        (repeated("", "x", 300_000, ""), "it is longer than"),
        (
            repeated("", "{% for x in message_lines recursive %}", 1, "{{ loop(message_lines) }}{% endfor %}"),
            "calls itself",
        ),
        // What ends a tag is no end between quotes.
        (repeated("{{ \"}}\" ~ message }}", "", 1, ""), "nothing is calculated"),
        (repeated("{{ '\\'}}' ~ message }}", "", 1, ""), "nothing is calculated"),
        (repeated("{{ {1: [2]}[1] ~ message }}", "", 1, ""), "nothing is calculated"),
    ] {
        let (_, faults) = read(&[("invitation.txt", &text)]);
        assert!(faults.len() == 1 && faults[0].contains(told), "{told:?} in {faults:?} of {:.80}", text);
    }
    // All bounds at the same time, on the stack of a thread: 2 MB for a test, as for the operator.
    let condition = format!("{}portal", "not ".repeat(56));
    let text = format!(
        "{}{{% if {condition} %}}a{}{{% endif %}}{}{{{{ url }}}}",
        format!("{{% if {condition} %}}").repeat(19),
        format!("{{% elif {condition} %}}b").repeat(20),
        "{% endif %}".repeat(19),
    );
    assert_eq!(read(&[("invitation.txt", &text)]).1, Vec::<String>::new());
}

#[test]
fn what_harms_nobody_is_no_fault() {
    let doctype = "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" \
                   \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\
                   <html xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"{{ url }}\">x</a>\
                   <a href=\"mailto:help@example.com\">help</a><img src=\"data:image/png;base64,AA==\">";
    let texts = [("invitation.txt", "{{- url -}}\n{# {% set x %} ~ #}{{ '+~' }}"), ("invitation.html", doctype)];
    assert_eq!(read(&texts).1, Vec::<String>::new());
    let quoted = "{% for line in message_lines %}\n> {{ line | trim }}\n{% endfor %}\n{{ url }} {{ portal | default('x', true) }}";
    assert_eq!(read(&[("reminder.de.txt", quoted), ("expired.txt", "{{ invitee }}")]).1, Vec::<String>::new());
}

#[test]
fn html_leads_nowhere_else_fetches_nothing_and_runs_nothing() {
    for html in [
        "<a title=\">\" href=\"https://evil.example\">y</a>",
        "<a title='>' href=//evil.example>y</a>",
        "<a href=\"/\\evil.example\">y</a>",
        "<a href=\"java&#115;cript:alert(1)\">y</a>",
        "<a href=\"&#104;ttps://evil.example\">y</a>",
        "<p onclick=\"alert(1)\">y</p>",
        "<img src=cid:a onerror=alert(1)>",
        "<img src=\"{{ url }}\">",
        "<img srcset=\"//evil.example/a.png 1x\">",
        "<meta http-equiv=refresh content=\"0;url=mailto:x\">",
        "<meta http-equiv = 'refresh' content=1>",
        "<style>p { background: image-set('a.png' 1x) }</style>",
        "<style>p { background: u\\72l(a.png) }</style>",
        "<style>@import 'a.css';</style>",
        "<p style=\"background: URL( 'a.png')\">y</p>",
        "<p style=\"background: &#117;rl(a.png)\">y</p>",
        "<svg><a xlink:href='a'>y</a></svg>",
        "<input type=image src=a.png>",
        "<link rel=stylesheet href=a.css>",
        "<!--[if mso]><img src='a.png'><![endif]-->",
        "<!-- <!-- <!-- -->",
        "<form action=a>",
        "<p>&#104;ttps:&#47;/evil.example</p>",
        "<p>{% if given_name == 'Eve' %}https://evil.example{% endif %}</p>",
        "<a {% if given_name == 'Eve' %}href='//evil.example'{% endif %}>y</a>",
    ] {
        let html = format!("<a href=\"{{{{ url }}}}\">x</a>{html}");
        let (_, faults) = read(&[("invitation.txt", "{{ url }}"), ("invitation.html", &html)]);
        assert!(faults.len() == 1 && faults[0].starts_with("invitation.html"), "{html}: {faults:?}");
        // Found by reading the template already, and for itself.
        let found = html.contains("{%") || html::only_words(&html, "{{ url }}", &[]).is_err();
        assert!(found, "{html}");
    }
}

#[test]
fn an_address_is_found_in_each_branch_and_if_not_there_in_the_letter() {
    for (key, text, told) in [
        ("invitation.txt", "{{ url }}\n\n{% if given_name == \"Eve\" %}https://evil.example/{% endif %}", ", line 3: "),
        (
            "invitation.txt",
            "{{ url }} {% if given_name == 'Eve' %}{{ '\\x68ttps://evil.example' }}{% endif %}",
            "line 1",
        ),
        ("invitation.txt", "{{ url }} {% if given_name == 'Eve' %}www.evil.example{% endif %}", "line 1"),
        ("invitation.txt", "{{ url }} {% if given_name == 'Eve' %}https:{{ message }}{% endif %}", "line 1"),
        ("invitation.subject", "{% if given_name == 'Eve' %}//evil.example{% endif %}x", "line 1"),
        ("invitation.subject", "Go to {{ url }}", "take"),
    ] {
        let (_, faults) = read(&[(key, text)]);
        assert!(faults.len() == 1 && faults[0].contains(told), "{told:?} in {faults:?}");
    }
    // In pieces that are none: no sample takes the branch, and the letter goes out in the built-in words.
    let text = "{{ url }} {% if given_name == 'Eve' %}http{{ 's' }}:{{ '/' }}/evil.example{% endif %}";
    let (texts, faults) = read(&[("invitation.txt", text)]);
    assert_eq!(faults, Vec::<String>::new());
    let texts = Arc::new(texts);
    for (name, words) in [("Grace", false), ("Eve", true)] {
        let letter = Letter { texts: texts.clone(), given_name: Some(name.into()), ..letter(Occasion::Invitation) };
        let mail = letter.compose(LINK).expect("composed");
        assert_eq!(mail.text.contains("Ada Lovelace invites you"), words, "{}", mail.text);
        assert!(!mail.text.contains("evil"), "{}", mail.text);
    }
    // People may write of addresses, as they may in the built-in words.
    let own = [
        ("invitation.txt", "Own words: {{ message }} {{ url }}"),
        ("invitation.html", "{{ message }}<a href='{{ url }}'>x</a>"),
    ];
    let letter = Letter {
        texts: Arc::new(read(&own).0),
        message: Some("See https://wiki.example/a?b=c&d, www.x.example".into()),
        ..letter(Occasion::Invitation)
    };
    assert!(letter.compose(LINK).expect("composed").text.starts_with("Own words: See https://wiki"));
}

#[test]
fn a_subject_has_a_bound() {
    let (_, faults) = read(&[("invitation.subject", &"x".repeat(201))]);
    assert_eq!(faults, ["invitation.subject: the subject is longer than 200 characters"]);
    let (texts, faults) = read(&[("invitation.subject", "For {{ tenant }}")]);
    assert_eq!(faults, Vec::<String>::new());
    let letter = Letter { texts: Arc::new(texts), tenant: "é".repeat(300), ..letter(Occasion::Invitation) };
    let subject = letter.compose(LINK).expect("composed").subject;
    assert!(subject.chars().count() == 200 && subject.starts_with("For é") && subject.ends_with("é…"), "{subject}");
}

#[test]
fn a_crowd_of_keys_is_not_read_and_the_last_good_texts_stay() {
    let good = Texts::read(&entries(&[("invitation.subject", "Welcome")]), &Texts::default()).0;
    let crowd = |count| (0..count).map(|n| (format!("invitation.x{n}.txt"), "x".to_owned())).collect();
    let (kept, faults) = Texts::read(&crowd(501), &good);
    assert_eq!(kept, good);
    assert!(faults.len() == 1 && faults[0].what.contains("more than 500 keys"), "{faults:?}");
    assert_eq!(Texts::read(&crowd(500), &good).1.len(), 500, "each is judged: it has no subject");
}

#[test]
fn the_last_good_text_is_used_while_the_new_one_is_wrong() {
    let data = |subject| entries(&[("invitation.subject", subject), ("reminder.subject", "Soon")]);
    let seen = TextsSeen::Unseen.after(Some(&data("Welcome")));
    let TextsSeen::Here { faults, .. } = &seen else { panic!("{seen:?}") };
    assert_eq!(faults, &[]);
    let subject = |seen: &TextsSeen| {
        let letter = Letter { texts: seen.good(), ..letter(Occasion::Invitation) };
        letter.compose(LINK).expect("composed").subject
    };
    let wrong = seen.after(Some(&data("Welcome {{ oops }}")));
    let TextsSeen::Here { faults, .. } = &wrong else { panic!("{wrong:?}") };
    assert_eq!(faults.len(), 1);
    assert_eq!(subject(&wrong), "Welcome");
    // The ConfigMap is gone, and comes back mended.
    let gone = wrong.after(None);
    assert_eq!(subject(&gone), "Welcome");
    assert_eq!(subject(&gone.after(Some(&data("Hello")))), "Hello");
    // What is taken out on purpose is out, and what was wrong from the first is not used.
    assert!(subject(&wrong.after(Some(&entries(&[])))).starts_with("Ada Lovelace invites"));
    let restarted = TextsSeen::Unseen.after(Some(&data("Welcome {{ oops }}")));
    assert!(subject(&restarted).starts_with("Ada Lovelace invites"));
}

#[test]
fn a_text_that_fails_for_what_somebody_wrote_gives_way_to_the_built_in_one() {
    let text = "{% for line in message_lines %}{% for a in [1,2,3,4,5,6,7,8] %}{% for b in [1,2,3,4,5,6,7,8] %}{{ line \
                }}{% endfor %}{% endfor %}{% endfor %}{{ url }}";
    let (texts, faults) = read(&[("invitation.txt", text)]);
    assert_eq!(faults, Vec::<String>::new(), "with two lines it works");
    let letter = Letter { texts: Arc::new(texts), message: Some("x\n".repeat(900)), ..letter(Occasion::Invitation) };
    let mail = letter.compose(LINK).expect("composed");
    assert!(mail.text.contains("Ada Lovelace invites you"), "{}", mail.text);
}
