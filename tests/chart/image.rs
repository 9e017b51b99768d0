//! The image: the Dockerfile and `make image` make the same one. What is in it is run where it is made (.ci/image).

use std::collections::BTreeSet;

use crate::support::repository;

fn read(file: &str) -> String {
    std::fs::read_to_string(repository(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The words `key="value"` whose key begins with `org.`, with what stands for the version and the commit left out.
fn labels(text: &str) -> BTreeSet<(String, String)> {
    let words = text.split("org.opencontainers.image.").skip(1).filter_map(|rest| rest.split_once("=\""));
    let value = |value: &str| value.split('"').next().unwrap_or_default().to_owned();
    words.map(|(key, rest)| (key.to_owned(), value(rest))).map(|(k, v)| (k, v.replace(['{', '}'], ""))).collect()
}

#[test]
fn the_dockerfile_makes_what_make_image_makes() {
    let (docker, script) = (read("Dockerfile"), read(".ci/image"));
    let fixed = |text: &str| -> BTreeSet<_> { labels(text).into_iter().filter(|(_, v)| !v.starts_with('$')).collect() };
    assert_eq!(fixed(&docker), fixed(&script));
    assert_eq!(fixed(&docker).len(), 4);
    let keys = |text: &str| -> BTreeSet<_> { labels(text).into_iter().map(|(key, _)| key).collect() };
    assert_eq!(keys(&docker), keys(&script));
    for (dockers, scripts) in [
        ("\nUSER 65532:65532\n", "--user 65532:65532 "),
        ("\nEXPOSE 8080 9090\n", "--port 8080 --port 9090 "),
        ("\nENTRYPOINT [\"/portal-operator\"]\n", "--entrypoint '[\"/portal-operator\"]' "),
        ("\nCMD [\"run\"]\n", "--cmd run "),
        ("\nFROM scratch\n", "buildah from scratch"),
        ("-C target-feature=+crt-static --remap-path-prefix=", "-C target-feature=+crt-static --remap-path-prefix="),
        ("cargo build --release --locked --bin portal-operator", "--locked --bin portal-operator"),
        (" /etc/ssl/certs/ca-certificates.crt\n", " /etc/ssl/certs/ca-certificates.crt >"),
    ] {
        assert!(docker.contains(dockers), "the Dockerfile lacks {dockers:?}");
        assert!(script.contains(scripts), ".ci/image lacks {scripts:?}");
    }
}

#[test]
fn the_dockerfile_builds_with_the_pinned_compiler_the_version_of_the_crate() {
    let docker = read("Dockerfile");
    let pin = read("rust-toolchain.toml");
    let pin = pin.split("channel = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a pinned compiler");
    assert!(docker.contains(&format!("\nARG RUST={pin}\n")), "the Dockerfile builds with another compiler than {pin}");
    let version = env!("CARGO_PKG_VERSION");
    assert!(docker.contains(&format!("\nARG VERSION={version}\n")), "the Dockerfile is not of version {version}");
    let chart = read("charts/portal-operator/Chart.yaml");
    assert!(chart.contains(&format!("\nappVersion: {version}\n")), "the chart installs another version than {version}");
}
