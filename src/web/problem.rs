//! Errors of the web API, as problem details (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was refused: one word for programs, one sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) reason: &'static str,
    pub(super) detail: &'static str,
}

macro_rules! problems {
    ($($name:ident = $status:ident, $reason:literal, $detail:literal;)*) => {
        $(pub(super) const $name: Problem =
            Problem { status: StatusCode::$status, reason: $reason, detail: $detail };)*
    };
}

problems! {
    NOT_FOUND = NOT_FOUND, "NotFound", "This is no invitation's link. Check that it was copied whole.";
    EXPIRED = GONE, "Expired", "The time for this invitation is over. Ask whoever invited you to send it again.";
    REVOKED = GONE, "Revoked", "This invitation was withdrawn by whoever sent it.";
    SUPERSEDED = GONE, "Superseded", "A newer mail replaces this link. Use the link of the latest mail.";
    WITHDRAWN = GONE, "Withdrawn", "This invitation does not exist any more.";
    ACCEPTED = CONFLICT, "Accepted", "This invitation was accepted already.";
    DECLINED = CONFLICT, "Declined", "This invitation was declined.";
    ALREADY_MEMBER = CONFLICT, "AlreadyMember", "This address has an account already.";
    PORTAL_INACTIVE = FORBIDDEN, "PortalInactive", "The portal is switched off at the moment.";
    USER_SUSPENDED = FORBIDDEN, "UserSuspended", "The account of this address is not in use.";
    CROSS_SITE = FORBIDDEN, "CrossSite", "Requests from other sites are refused.";
    MALFORMED = BAD_REQUEST, "Malformed", "The body is a JSON object with the member token.";
    TOO_SLOW = REQUEST_TIMEOUT, "TooSlow", "The body did not come in time.";
    TOO_LARGE = PAYLOAD_TOO_LARGE, "TooLarge", "The body is too large.";
    NOT_JSON = UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "The body is application/json.";
    TOO_MANY = TOO_MANY_REQUESTS, "TooManyRequests", "There were too many requests. Try again in a few seconds.";
    UNAVAILABLE = SERVICE_UNAVAILABLE, "Unavailable", "The service cannot answer at the moment. Try again in a few seconds.";
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "reason": self.reason,
            "detail": self.detail,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// Paths that do not exist.
pub(super) async fn nowhere() -> Problem {
    Problem { status: StatusCode::NOT_FOUND, reason: "NoSuchPage", detail: "There is no such page." }
}
