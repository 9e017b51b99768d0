//! What platform teams are given: the chart, the examples for GitOps tools, the image. With the real tools, and where the
//! API server has to judge, on a real one.

#[path = "support/mod.rs"]
mod support;

#[path = "chart/gitops.rs"]
mod gitops;
#[path = "chart/image.rs"]
mod image;
#[path = "chart/installed.rs"]
mod installed;
#[path = "chart/notes.rs"]
mod notes;
#[path = "chart/pod.rs"]
mod pod;
#[path = "chart/readme.rs"]
mod readme;
#[path = "chart/rendered.rs"]
mod rendered;
#[path = "chart/rights.rs"]
mod rights;
#[path = "chart/schema.rs"]
mod schema;
#[path = "chart/story.rs"]
mod story;
#[path = "chart/tools.rs"]
mod tools;
