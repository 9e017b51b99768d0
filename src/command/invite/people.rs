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
    /// exports them: under headings in any order, or `Grace,Hopper,grace@acme.example` without. Empty lines and those
    /// that begin with `#` are passed over.
    pub fn read(&mut self, source: &str, text: &str) {
        let text = text.trim_start_matches('\u{feff}');
        let is_said = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let first = text.lines().map(str::trim).find(is_said).and_then(headings);
        if let Some((delimiter, columns)) = first.as_ref().filter(|(_, columns)| columns.count > 1) {
            return self.table(source, text, *delimiter, columns);
        }
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| is_said(line));
        for (number, line) in lines.skip(usize::from(first.is_some())) {
            self.line(&format!("{source}:{}", number + 1), line);
        }
    }

    /// Takes in what stands below headings.
    fn table(&mut self, source: &str, text: &str, delimiter: u8, columns: &Columns) {
        let mut reader = csv::ReaderBuilder::new();
        reader.delimiter(delimiter).flexible(true).comment(Some(b'#')).trim(csv::Trim::All);
        for record in reader.from_reader(text.as_bytes()).records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => return self.wrong.push(format!("{source}: {error}")),
            };
            if record.iter().all(str::is_empty) {
                continue;
            }
            let line = record.position().map_or(0, csv::Position::line);
            let field = |column: Option<usize>| column.and_then(|at| record.get(at)).and_then(some);
            let name = match (field(columns.given), field(columns.family), field(columns.whole)) {
                (None, None, Some(whole)) => split(&whole),
                (given, family, _) => (given, family),
            };
            let email = field(Some(columns.email)).unwrap_or_default();
            self.person(&format!("{source}:{line}"), &email, name);
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
        for field in fields.iter().filter(|field| !field.is_empty()) {
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
    fields.iter().map(|field| bare(field)).collect()
}

/// Which column of a spreadsheet holds what.
struct Columns {
    count: usize,
    email: usize,
    given: Option<usize>,
    family: Option<usize>,
    whole: Option<usize>,
}

/// What stands between the columns, and which is which. None: the line is no heading.
fn headings(line: &str) -> Option<(u8, Columns)> {
    if line.contains('@') {
        return None;
    }
    let letters = |name: &String| name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let names: Vec<String> = fields(line).iter().map(letters).collect();
    let one_of = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
    let email = one_of(&["email", "mail", "emailaddress", "mailaddress"]);
    let columns = Columns {
        count: names.len(),
        email: email.or_else(|| names.iter().position(|name| name.contains("mail")))?,
        given: one_of(&["given", "givenname", "givennames", "first", "firstname", "forename"]),
        family: one_of(&["family", "familyname", "last", "lastname", "surname"]),
        whole: one_of(&["name", "fullname", "displayname"]),
    };
    Some((line.bytes().find(|byte| b",;\t".contains(byte)).unwrap_or(b','), columns))
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
            ("Family,Given,Email\nHopper,Grace,grace@acme.example", vec!["grace@acme.example|Grace|Hopper"]),
            ("Email,Given,Family\na@x.example,,Lovelace\n,,\n# x\n", vec!["a@x.example||Lovelace"]),
            (
                "ID;Surname;First Name;E-mail\n7;\"Hop;per\";\"Gr\"\"ace\";g@x.example",
                vec!["g@x.example|Gr\"ace|Hop;per"],
            ),
            ("LAST NAME\tMAIL\nHopper\tg@x.example", vec!["g@x.example||Hopper"]),
            ("# exported\n\nFamily,Given,Email\nHopper,Grace,g@x.example", vec!["g@x.example|Grace|Hopper"]),
            (
                "E-mail\nGrace <g@x.example>\na@x.example, b@x.example",
                vec!["g@x.example|Grace|", "a@x.example||", "b@x.example||"],
            ),
            (",Lovelace,a@x.example", vec!["a@x.example||Lovelace"]),
            ("a@x.example,,Lovelace\ng@x.example,", vec!["a@x.example||Lovelace", "g@x.example||"]),
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
        let (people, wrong) = read("Name,Email\n\n# x\nAda,a@x.example\nGrace,\n");
        assert_eq!((people.len(), wrong.len()), (1, 1), "{wrong:?}");
        assert!(wrong[0].starts_with("list:5: "), "{wrong:?}");
    }
}
