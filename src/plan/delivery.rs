//! stub
use crate::api::condition::Reason;
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Delivered { queue_id: Option<String> },
    Deferred { reason: Reason, message: String },
    Refused { reason: Reason, message: String },
    Relay { reason: Reason, message: String, login: bool },
    Unknown { message: String },
}
