//! The page on which an invited person answers: static, without parameters. The token is in the fragment and reaches no
//! server before a person presses a button.

use axum::http::header;
use axum::response::IntoResponse;

/// The page.
pub(super) async fn html() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], include_str!("page/page.html"))
}

/// Its script.
pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page/page.js"))
}

/// Its style.
pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page/page.css"))
}
