//! Why a command could not do what it was asked for, in words for whoever asked.

use std::fmt;
use std::io;

use crate::api::GROUP;

/// What a command comes to: whether all is well, or why it could not be done.
pub type Answer = Result<bool, Failure>;

/// Why not.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
    broken_pipe: bool,
    fails_each_time: bool,
}

impl Failure {
    /// It was asked for, and could not be done.
    pub fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), code: 1, broken_pipe: false, fails_each_time: false }
    }

    /// What was given cannot be used.
    pub fn unusable(message: impl Into<String>) -> Self {
        Failure { code: 2, ..Failure::new(message) }
    }

    /// Whether nobody reads any more.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// Whether what fails once fails each time: RBAC or the kubeconfig's credentials are in the way, or there is no such
    /// namespace.
    pub fn fails_each_time(&self) -> bool {
        self.fails_each_time
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure { broken_pipe: error.kind() == io::ErrorKind::BrokenPipe, ..Failure::new(error.to_string()) }
    }
}

impl From<serde_saphyr::ser::Error> for Failure {
    fn from(error: serde_saphyr::ser::Error) -> Self {
        Failure::new(format!("cannot write YAML: {error}"))
    }
}

/// A call of the API server.
#[derive(Clone, Debug)]
pub struct Call {
    /// Verb of RBAC.
    pub verb: &'static str,
    /// Plural of the kind.
    pub resource: String,
    /// Kind.
    pub kind: String,
    /// API group; empty for the core.
    pub group: String,
    /// Namespace.
    pub namespace: String,
    /// Name, where one object is meant.
    pub name: String,
}

impl Call {
    /// What its failure means for whoever called.
    pub fn failed(&self, error: kube::Error) -> Failure {
        let Call { verb, resource, kind, group, namespace, name } = self;
        let object = if name.is_empty() { resource.clone() } else { format!("{kind} {name:?}") };
        let kube::Error::Api(status) = &error else {
            return Failure::new(format!("cannot {verb} {object}: the API server cannot be asked: {}", causes(&error)));
        };
        let message = match status.code {
            // Policies speak for themselves.
            403 if status.message.contains("denied request") => said_by_a_policy(&status.message),
            403 => {
                // A patch of what is not there makes it: RBAC says which of the two is missing.
                let verb = if status.message.contains("cannot create") { "create" } else { verb };
                let group = if group.is_empty() { "\"\"".to_owned() } else { group.clone() };
                format!(
                    "you may not {verb} {object} in namespace {namespace:?}. The right that is missing:\n  \
                     apiGroups: [{group}], resources: [{resource}], verbs: [{verb}], namespace: {namespace}\n\
                     The API server says: {}",
                    status.message
                )
            }
            401 => {
                "the API server does not know you: the kubeconfig's credentials are not (or no longer) accepted".into()
            }
            404 if lacks_namespace(status.code, &status.message) => format!("there is no namespace {namespace:?}"),
            404 if name.is_empty() || !status.message.contains(name.as_str()) => {
                let whose = if group == GROUP { ": are portal-operator's CRDs installed?" } else { "" };
                format!("the API server has no {resource}{whose}")
            }
            404 => format!("there is no {object} in namespace {namespace:?}"),
            409 if status.message.contains("conflict") => format!(
                "{object} says otherwise, by somebody else's will (Git's, perhaps). Change it there.\n\
                 The API server says: {}",
                status.message
            ),
            _ => format!("cannot {verb} {object}: {}", status.message),
        };
        let fails_each_time = status.code == 401
            || status.code == 403 && !status.message.contains("denied request")
            || lacks_namespace(status.code, &status.message);
        Failure { fails_each_time, ..Failure::new(message) }
    }
}

fn lacks_namespace(code: u16, message: &str) -> bool {
    code == 404 && message.starts_with("namespaces ")
}

/// The sentence of a policy without what the API server puts around it.
fn said_by_a_policy(message: &str) -> String {
    let sentence = message.split_once("denied request: ").map_or(message, |(_, sentence)| sentence);
    format!("refused by a policy of this cluster: {sentence}")
}

/// An error and what it comes from, each once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn said(code: u16, message: &str) -> String {
        let call = Call {
            verb: "patch",
            resource: "invitations".into(),
            kind: "Invitation".into(),
            group: GROUP.into(),
            namespace: "acme".into(),
            name: "grace".into(),
        };
        let status = Status { code, message: message.into(), ..Status::default() };
        call.failed(kube::Error::Api(Box::new(status))).to_string()
    }

    #[test]
    fn a_right_that_is_missing_is_named() {
        let forbidden = "invitations.portal-operator.dev \"grace\" is forbidden: User \"eve\" cannot patch resource";
        let said_of_patch = said(403, forbidden);
        assert!(said_of_patch.contains("resources: [invitations], verbs: [patch], namespace: acme"), "{said_of_patch}");
        assert!(said(403, &forbidden.replace("cannot patch", "cannot create")).contains("verbs: [create]"));
    }

    #[test]
    fn a_policy_speaks_for_itself() {
        let message = "invitations \"grace\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: role \"owner\" may be given by owners only";
        assert_eq!(
            said(403, message),
            "refused by a policy of this cluster: role \"owner\" may be given by owners only"
        );
    }

    #[test]
    fn a_missing_object_and_a_missing_kind_are_told_apart() {
        assert!(said(404, "invitations.portal-operator.dev \"grace\" not found").contains("there is no Invitation"));
        assert_eq!(said(404, "namespaces \"acme\" not found"), "there is no namespace \"acme\"");
        assert!(said(404, "404 page not found").contains("CRDs installed"));
    }
}
