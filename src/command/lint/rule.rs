//! The rules of the linter: what each finds, and how bad that is. `lint --rules` prints them, SARIF carries them.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It may be as it should: what is missing may be elsewhere.
    Warning,
    /// The API server refuses it, or the operator cannot do what is asked for.
    Error,
}

impl Level {
    /// Its word, in all formats.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, for `--ignore` and for machines.
    pub id: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What it finds.
    pub about: &'static str,
}

const fn error(id: &'static str, about: &'static str) -> Rule {
    Rule { id, level: Level::Error, about }
}

const fn warning(id: &'static str, about: &'static str) -> Rule {
    Rule { id, level: Level::Warning, about }
}

/// All rules.
pub const ALL: &[Rule] = &[
    error("yaml", "The file cannot be read, or not as YAML: syntax, or a key that stands twice."),
    error("kind-unknown", "The API group has no such kind, or not in this version."),
    error(
        "name-missing",
        "The object has no name, or asks the API server to choose one: each apply would make another.",
    ),
    error("name-invalid", "The name is none that Kubernetes takes."),
    error("name-reserved", "Groups may have neither a dot in their names nor the names of a portal's built-in groups."),
    warning(
        "name-dot",
        "Names with a dot are kept for what the operator makes: policies refuse them, the schema does not.",
    ),
    error("name-duplicate", "Two documents declare the same object: the last one applied wins."),
    warning("status-declared", "Status is the operator's: what stands there is lost, or forges facts."),
    error("schema-unknown-field", "There is no such field."),
    error("schema-required", "A field is missing that has to be there."),
    error("schema-type", "A value of another type is needed."),
    error("schema-enum", "The value is none of those that are allowed."),
    error("schema-pattern", "The text does not have the form that is needed."),
    error("schema-format", "The text is no time or duration."),
    error("schema-length", "The text is too long or too short."),
    error("schema-items", "The list has too many or too few items."),
    error("schema-range", "The number is too small or too large."),
    error("schema-rule", "A rule of the CRD is broken, such as: expiresAfter is between 5m and 90d."),
    warning("reference-not-found", "What is named is in no file: nothing works until it exists."),
    error("reference-wrong-kind", "What is named is in the files, as an object of another kind."),
    error("reference-wrong-namespace", "What is named is in another namespace: references never leave theirs."),
    error("reference-other-tenant", "What is named belongs to another tenant."),
    error("role-unknown", "The tenant's portal has no such role."),
    error("role-scope", "The role is not one for a branch, or for a branch only."),
    error("role-partner-only", "The role is worth something in tenants of type Partner only."),
    warning("role-excluded", "Two roles of one exclusive set: the one that the portal lists first wins."),
    error("role-requires", "The role requires another one that is not held: it is worth nothing."),
    warning("role-withheld", "Whoever invites may not give this role: it is withheld."),
    warning("permission-requires", "A permission requires another one that is not held: it is worth nothing."),
    error("permission-unknown", "The portal declares no such permission."),
    warning("permission-wildcard", "The wildcard covers no permission that the portal declares."),
    error("requirement-circle", "Permissions or roles require each other in a circle: all of them are worth nothing."),
    error("address-invalid", "The address cannot be mailed."),
    error("address-duplicate", "Two users of one tenant have the same address."),
    warning("invitation-duplicate", "The address is invited twice: one of the two waits for ever."),
    error("domain-not-allowed", "The tenant does not invite addresses of this domain (allowedEmailDomains)."),
    error("domain-invalid", "No address has such a domain."),
    error("sender-invalid", "Sender or Reply-To is no mailbox."),
    error("text-invalid", "A text of the portal's own cannot be used: the built-in one is mailed instead."),
    error("user-limit", "The tenant has fewer seats than declared users."),
    warning("seats", "The tenant has fewer seats than declared users and invitations together."),
    error("partner-type", "The company is no tenant of type Partner."),
    error("partner-not-linked", "The tenant does not list the user's company in partnerRefs."),
    error("contact-missing", "The activation mail has nobody to go to, or no address to tell."),
    error("send-after-end", "sendAt is not before notAfter: nothing is ever sent."),
    error("not-ready", "The operator would report the object as not ready, for a reason of its own."),
];

/// The rule of this name.
pub fn find(id: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own() {
        for (at, rule) in ALL.iter().enumerate() {
            assert!(ALL[..at].iter().all(|other| other.id != rule.id), "{}", rule.id);
        }
    }
}
