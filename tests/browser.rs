//! The page of an invitation in a real browser: what people see, what they can do, and what looking does not do. Skipped,
//! loudly, where there is no Chromium.

#[path = "support/mod.rs"]
mod support;

#[path = "suite/story.rs"]
#[allow(dead_code, reason = "words that the suite uses more of")]
mod story;

#[path = "browser/answers.rs"]
mod answers;
#[path = "browser/chromium.rs"]
mod chromium;
#[path = "browser/invited.rs"]
mod invited;
#[path = "browser/languages.rs"]
mod languages;
#[path = "browser/looking.rs"]
mod looking;
#[path = "browser/pasting.rs"]
mod pasting;
#[path = "browser/states.rs"]
mod states;
#[path = "browser/troubles.rs"]
mod troubles;
