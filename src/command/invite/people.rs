//! Who is invited: addresses from arguments, files and standard input, as people and spreadsheets write them.

use std::collections::HashSet;

use crate::plan::address::Address;

/// One person.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Address, as it was written.
    pub email: String,
    /// The same, as addresses are compared.
    pub address: Address,
    /// Given name.
    pub given_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
}

/// Everybody who is named, and what cannot be understood.
#[derive(Debug, Default)]
pub struct People {
    /// Everybody once, in order.
    pub all: Vec<Person>,
    /// What is no address: where, and why.
    pub wrong: Vec<String>,
    /// How many were named again.
    pub repeated: usize,
    /// Addresses of all, as they are compared.
    known: HashSet<String>,
}

impl People {
    /// Takes in lines: `a@x.example, b@y.example`, `Grace Hopper <grace@acme.example>`, or columns as a spreadsheet
    /// exports them (`Grace,Hopper,grace@acme.example`). Empty lines, those that begin with `#`, and a line of headings
    /// are passed over.
    pub fn read(&mut self, source: &str, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim().trim_start_matches('\u{feff}');
            let is_heading = number == 0 && !line.contains('@') && line.to_lowercase().contains("mail");
            if !line.is_empty() && !line.starts_with('#') && !is_heading {
                self.line(&format!("{source}:{}", number + 1), line);
            }
        }
    }

    /// Takes in an argument.
    pub fn argument(&mut self, argument: &str) {
        self.line("argument", argument);
    }

    fn line(&mut self, place: &str, line: &str) {
        let fields = fields(line);
        let addresses = fields.iter().filter(|field| field.contains('@')).count();
        if addresses == 1 && fields.len() > 1 && fields.iter().all(|field| !field.contains('<')) {
            let names: Vec<&str> = fields.iter().filter(|f| !f.contains('@')).map(String::as_str).collect();
            let email = fields.iter().find(|field| field.contains('@')).map_or("", String::as_str);
            let name = if names.len() == 1 { split(names[0]) } else { (some(names[0]), some(names[1])) };
            return self.person(place, email, name);
        }
        for field in &fields {
            match field.split_once('<') {
                Some((name, rest)) => match rest.split_once('>') {
                    Some((email, "")) => self.person(place, email, split(name.trim().trim_matches('"'))),
                    _ => self.wrong.push(format!("{place}: {field:?} is no `Name <address>`")),
                },
                None => field.split_whitespace().for_each(|email| self.person(place, email, (None, None))),
            }
        }
    }

    fn person(&mut self, place: &str, email: &str, (given_name, family_name): (Option<String>, Option<String>)) {
        let email = email.trim().to_owned();
        let Some(address) = Address::parse(&email) else {
            return self.wrong.push(format!("{place}: {email:?} is no address that can be mailed"));
        };
        if [&given_name, &family_name].iter().any(|name| name.as_ref().is_some_and(|name| !is_name(name))) {
            return self
                .wrong
                .push(format!("{place}: the name before {email:?} is longer than 100, or hides characters"));
        }
        if !self.known.insert(address.canonical().to_owned()) {
            self.repeated += 1;
            return;
        }
        self.all.push(Person { email, address, given_name, family_name });
    }
}

fn is_name(name: &str) -> bool {
    name.chars().count() <= 100 && !name.chars().any(char::is_control)
}

/// The fields of a line: between commas, semicolons and tabs that stand in no quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                field.push(character);
            }
            ',' | ';' | '\t' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    fields.push(field);
    // Quotes around a whole field are the spreadsheet's.
    let bare = |field: &str| match field.trim().strip_prefix('"').and_then(|field| field.strip_suffix('"')) {
        Some(inner) if !inner.contains('"') => inner.trim().to_owned(),
        _ => field.trim().to_owned(),
    };
    fields.iter().map(|field| bare(field)).filter(|field| !field.is_empty()).collect()
}

/// Given and family name of `Grace Hopper` or `Hopper, Grace`.
fn split(name: &str) -> (Option<String>, Option<String>) {
    if let Some((family, given)) = name.split_once(',') {
        return (some(given), some(family));
    }
    match name.trim().rsplit_once(char::is_whitespace) {
        Some((given, family)) => (some(given), some(family)),
        None => (some(name), None),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let mut people = People::default();
        people.read("list", text);
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let shown = |p: &Person| format!("{}|{}|{}", p.email, name(&p.given_name), name(&p.family_name));
        (people.all.iter().map(shown).collect(), people.wrong)
    }

    #[test]
    fn people_are_read_however_they_are_written() {
        for (text, expected) in [
            ("a@x.example, b@y.example", vec!["a@x.example||", "b@y.example||"]),
            ("a@x.example b@y.example;c@z.example", vec!["a@x.example||", "b@y.example||", "c@z.example||"]),
            ("Grace Hopper <grace@acme.example>", vec!["grace@acme.example|Grace|Hopper"]),
            ("\"Hopper, Grace\" <grace@acme.example>", vec!["grace@acme.example|Grace|Hopper"]),
            ("Grace <g@x.example>, Ada King <a@x.example>", vec!["g@x.example|Grace|", "a@x.example|Ada|King"]),
            ("Given,Family,E-Mail\nGrace,Hopper,grace@acme.example", vec!["grace@acme.example|Grace|Hopper"]),
            ("\u{feff}email;name\n\"g@x.example\";\"Grace Hopper\"\r\n", vec!["g@x.example|Grace|Hopper"]),
            ("# team\n\ng@x.example\n", vec!["g@x.example||"]),
            ("g@x.example\tGrace\tHopper", vec!["g@x.example|Grace|Hopper"]),
            ("G@X.example, g@x.example", vec!["G@X.example||"]),
        ] {
            assert_eq!(read(text), (expected.iter().map(ToString::to_string).collect(), vec![]), "{text:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_its_line() {
        let (people, wrong) = read("a@x.example\nb@@x.example\nGrace <g@x.example\nc@x..example, d@x.example\nnobody");
        assert_eq!(people, ["a@x.example||", "d@x.example||"]);
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        for (line, said) in [2, 3, 4, 5].iter().zip(&wrong) {
            assert!(said.starts_with(&format!("list:{line}: ")), "{said}");
        }
    }
}
