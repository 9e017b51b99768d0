//! Errors: the world failed us. An expired or undeliverable invitation is no error but a finding.

use std::fmt;

/// What went wrong, and during what.
#[derive(Debug)]
pub struct Error {
    doing: &'static str,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Api(Box<kube::Error>),
    Slow,
    Restless,
    Words(minijinja::Error),
    Other(String),
}

impl Error {
    /// A call of the API server failed.
    pub fn api(doing: &'static str, source: kube::Error) -> Self {
        Error { doing, source: Source::Api(Box::new(source)) }
    }

    /// A call of the API server was not answered in time.
    pub fn slow(doing: &'static str) -> Self {
        Error { doing, source: Source::Slow }
    }

    /// A turn did not come to rest.
    pub fn restless() -> Self {
        Error { doing: "reconcile", source: Source::Restless }
    }

    /// Words could not be put together.
    pub fn words(source: minijinja::Error) -> Self {
        Error { doing: "compose the letter", source: Source::Words(source) }
    }

    /// Something else that a sentence tells.
    pub fn other(doing: &'static str, what: impl Into<String>) -> Self {
        Error { doing, source: Source::Other(what.into()) }
    }

    /// Whether somebody else was ahead (409): the watch brings the newer object, and another turn.
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// Whether the object is gone (404).
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// The HTTP status of the API server's answer.
    pub fn code(&self) -> Option<u16> {
        match &self.source {
            Source::Api(error) => match error.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }

    /// All words of [`Error::category`].
    pub const CATEGORIES: [&str; 9] =
        ["slow", "restless", "words", "other", "forbidden", "conflict", "overload", "refused", "connection"];

    /// One word for metrics.
    pub fn category(&self) -> &'static str {
        match (&self.source, self.code()) {
            (Source::Slow, _) => "slow",
            (Source::Restless, _) => "restless",
            (Source::Words(_), _) => "words",
            (Source::Other(_), _) => "other",
            (Source::Api(_), Some(403)) => "forbidden",
            (Source::Api(_), Some(409)) => "conflict",
            (Source::Api(_), Some(429 | 500..=599)) => "overload",
            (Source::Api(_), Some(_)) => "refused",
            (Source::Api(_), None) => "connection",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: ", self.doing)?;
        match &self.source {
            Source::Api(error) => write!(f, "{error}"),
            Source::Slow => f.write_str("the API server did not answer in time"),
            Source::Restless => f.write_str("the object did not come to rest within eight steps"),
            Source::Words(error) => write!(f, "{error}"),
            Source::Other(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}
