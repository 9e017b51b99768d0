//! Limits and patterns that several kinds share, and references to objects of the same namespace.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of text: no control characters, line or paragraph separators, or bidirectional overrides. Such text
/// reaches mail headers and pages, where they would forge lines or hide letters. Joiners are allowed: names need them.
pub const ONE_LINE: &str =
    r"^[^\x00-\x1F\x7F-\x9F\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]*$";

/// As [`ONE_LINE`], with line feeds.
pub const SEVERAL_LINES: &str = r"^[^\x00-\x09\x0B-\x1F\x7F-\x9F\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]*$";

/// An e-mail address as far as a pattern can tell (RFC 5321, without quoted local parts and address literals).
/// Surrounding blanks are allowed because CRMs export them; addresses are compared trimmed.
pub const EMAIL: &str = r#"^ *[^\s@\x00-\x20\x7F-\x9F"(),:;<>\[\]\\\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]{1,64}@[^\s@\x00-\x20\x7F-\x9F"(),:;<>\[\]\\/%?#_\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]{1,253} *$"#;

/// Names of roles and groups. One letter alone is refused: YAML reads a bare `n` or `y` as a boolean.
pub const ROLE: &str = r"^[a-z][a-z0-9-]{0,61}[a-z0-9]$";

/// Names of permissions: words and dots.
pub const PERMISSION: &str = r"^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$";

/// Names of permissions, and wildcards: `*` for all, `devices.*` for all below.
pub const PERMISSIONS: &str = r"^(\*|[a-z][a-z0-9-]*(\.[a-z0-9-]+)*(\.\*)?)$";

/// A mailbox of a header: `address@example.com` or `Name <address@example.com>` (RFC 5322, 3.4), on one line.
pub const MAILBOX: &str = r#"^[^\x00-\x1F\x7F-\x9F\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}@]*@[^\s\x00-\x20\x7F-\x9F"(),:;<>\[\]\\/%?#_@\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]{1,253}>?$"#;

/// A name of an object (RFC 1123 subdomain).
pub const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

/// A BCP 47 language tag, as far as mails and pages need it: `en`, `de-AT`.
pub const LOCALE: &str = r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8}){0,3}$";

/// A branch of a tenant: `/`, `/london`, `/london/floor-1`. It covers everything below it.
pub const SCOPE: &str = r"^/([^/\x00-\x20\x7F-\x9F\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]{1,63}(/[^/\x00-\x20\x7F-\x9F\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]{1,63}){0,15})?$";

/// An address of a page: https, or http on this machine for trying things out. Without a user name or password, which
/// would reach every reader of a mail.
pub const URL: &str = r#"^(https://[^\s\x00-\x20\x7F-\x9F"<>\\^`{|}/?#@\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?)([/?#][^\s\x00-\x20\x7F-\x9F"<>\\^`{|}\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]*)?$"#;

/// A domain of addresses, in any script. Wildcards and a leading `@` are refused: they would match nothing.
pub const DOMAIN: &str = r#"^[^\s\x00-\x20\x7F-\x9F"(),:;<>\[\]\\/@*%?#_\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]{1,253}$"#;

/// A time that every reader of RFC 3339 understands: a year before 3000 (libraries end in the last days of 9999), real
/// months and hours, a zone of at most ±23:59.
pub const TIME: &str = r"^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Names another object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalRef {
    /// Name of the object. References never cross a namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
}

impl LocalRef {
    /// A reference to the object of this name.
    pub fn to(name: impl Into<String>) -> Self {
        LocalRef { name: name.into() }
    }
}

/// Roles on a branch of the tenant.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The branch: a path such as `/london/floor-1`. It covers everything below it; `/` is the whole tenant.
    #[schemars(length(min = 1, max = 256), regex(pattern = SCOPE))]
    #[x_kube(validation = Rule::new(r"!self.matches('/[.][.]?(/|$)')").message("a scope has no segment . or .."))]
    pub scope: String,
    /// Names of the roles that are held there.
    #[schemars(length(min = 1, max = 4), inner(length(max = 63), regex(pattern = ROLE)))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(o, o == r))").message("a role is named twice"))]
    pub roles: Vec<String>,
}
