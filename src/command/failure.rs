//! Why a command could not do what it was asked for, in words for whoever asked.

use std::fmt;
use std::io;

/// What a command comes to: whether all is well, or why it could not be done.
pub type Answer = Result<bool, Failure>;

/// Why not.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
    broken_pipe: bool,
}

impl Failure {
    /// It was asked for, and could not be done.
    pub fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), code: 1, broken_pipe: false }
    }

    /// What was given cannot be used.
    pub fn unusable(message: impl Into<String>) -> Self {
        Failure { code: 2, ..Failure::new(message) }
    }

    /// Whether nobody reads any more.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
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
