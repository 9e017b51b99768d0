//! A real browser: one chromedriver for all tests that run at the time, one Chromium for each.

use std::fs::{self, File};
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use futures::FutureExt;
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{PATIENCE, random, repository, say_loudly, until};

/// Where the pictures of a run are kept, to be looked at. Those of an earlier run are gone.
pub fn pictures() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        let _ = fs::remove_dir_all(&folder); // the first run of all finds none
        fs::create_dir_all(&folder).expect("a folder");
        say_loudly(&format!("pictures of the page: {}", folder.display()));
        folder
    };
    FOLDER.get_or_init(make).clone()
}

/// Chromium, chromedriver and axe-core. None: they cannot be had here, and the test is skipped.
struct Tools {
    chromium: String,
    driver: String,
    axe: String,
}

fn tools() -> Option<&'static Tools> {
    static TOOLS: OnceLock<Option<Tools>> = OnceLock::new();
    let lines = |script: &str| {
        let said = Command::new(repository(script)).stderr(Stdio::inherit()).output().expect("a script");
        match said.status.code() {
            Some(0) => Some(String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect::<Vec<_>>()),
            Some(3) => None,
            other => panic!("{script} ended with {other:?}, see above"),
        }
    };
    let find = || {
        let [chromium, driver] = lines("tests/tools/chromium")?.try_into().expect("two lines");
        let axe = lines("tests/tools/axe-core")?.remove(0);
        Some(Tools { chromium, driver, axe: fs::read_to_string(axe).expect("a script") })
    };
    let tools = TOOLS.get_or_init(find).as_ref();
    if tools.is_none() {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        say_loudly(&format!("SKIPPED {test}: there is no browser, see above"));
    }
    tools
}

/// A running chromedriver, which ends its browsers when it ends.
struct Driver {
    process: Process,
    url: String,
}

impl Driver {
    /// The one of tests that run at the moment, or a new one.
    async fn shared(tools: &Tools) -> Arc<Driver> {
        static SHARED: tokio::sync::Mutex<Weak<Driver>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(driver) = shared.upgrade() {
            return driver;
        }
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chromedriver-{}.log", random()));
        let out = File::create(&log).expect("a file");
        let mut command = Command::new(&tools.driver);
        command.args(["--port=0", "--log-level=SEVERE"]).stdin(Stdio::null()).stdout(out).stderr(Stdio::null());
        // Whatever comes, it ends with this value.
        let mut driver = Driver { process: Process::spawn(&mut command), url: String::new() };
        driver.url = until("chromedriver to listen", PATIENCE, || async {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let port: u16 = text.split("successfully on port ").nth(1)?.split('.').next()?.parse().ok()?;
            Some(format!("http://127.0.0.1:{port}"))
        })
        .await;
        let _ = fs::remove_file(&log); // it has said all that it has to say
        let driver = Arc::new(driver);
        *shared = Arc::downgrade(&driver);
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// A browser with one page.
pub struct Browser {
    pub client: Client,
    axe: &'static str,
    /// Requests of the page, as far as they were read out of the browser's log.
    requests: Mutex<Vec<Requested>>,
}

/// A request that the page sent.
#[derive(Clone, Debug)]
pub struct Requested {
    pub method: String,
    pub url: String,
    /// All that was said of it: headers, body, who asked.
    pub all: Value,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub dark: bool,
    pub width: u32,
    pub height: u32,
}

pub const DESK: Look = Look { dark: false, width: 1024, height: 760 };
pub const NIGHT: Look = Look { dark: true, width: 1024, height: 760 };
/// The narrowest that WCAG asks for (1.4.10).
pub const PHONE_AT_NIGHT: Look = Look { dark: true, width: 320, height: 640 };

/// Plays a story in a browser, which is closed however the story ends. `languages` as the browser's settings have them.
pub async fn in_browser<F: Future<Output = ()>>(languages: &str, story: impl FnOnce(Arc<Browser>) -> F) {
    let Some(tools) = tools() else { return };
    let driver = Driver::shared(tools).await;
    let mut capabilities = Capabilities::new();
    let options = json!({
        "binary": tools.chromium,
        "args": [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--force-device-scale-factor=1", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            format!("--accept-lang={languages}"), "--lang=en-US",
        ],
        "prefs": {"intl.accept_languages": languages},
        "perfLoggingPrefs": {"enableNetwork": true, "enablePage": false},
    });
    capabilities.insert("goog:chromeOptions".into(), options);
    capabilities.insert("goog:loggingPrefs".into(), json!({"performance": "ALL", "browser": "ALL"}));
    let connected = ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&driver.url).await;
    let client = connected.unwrap_or_else(|error| panic!("no browser: {error}"));
    let browser = Arc::new(Browser { client: client.clone(), axe: &tools.axe, requests: Mutex::default() });
    browser.look(DESK).await;
    let ended = AssertUnwindSafe(story(browser.clone())).catch_unwind().await;
    if ended.is_err() {
        let name = format!("failed-{}", random());
        if AssertUnwindSafe(browser.picture(&name)).catch_unwind().await.is_ok() {
            say_loudly(&format!("what the browser showed: {}/{name}.png", pictures().display()));
        }
    }
    let closed = client.close().await;
    drop(driver);
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
    closed.expect("the browser closes");
}

/// A command of Chromium beyond WebDriver.
#[derive(Debug)]
struct Extension(&'static str, Value);

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    async fn extension(&self, path: &'static str, body: Value) -> Value {
        let said = self.client.issue_cmd(Extension(path, body)).await;
        said.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.extension("goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    /// Loads an address anew, even if only what stands behind its `#` differs.
    pub async fn open(&self, url: &str) {
        self.client.goto("about:blank").await.expect("a page");
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// What a script yields.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The text that a script yields.
    pub async fn text(&self, script: &str) -> String {
        self.run(&format!("return String({script})")).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits for a view of the page that waits for nothing itself; its heading has the focus, but for the first.
    #[track_caller]
    pub fn sees(&self, view: &str) -> impl Future<Output = ()> {
        let (caller, view) = (std::panic::Location::caller(), view.to_owned());
        async move {
            let script = "const c = document.getElementById('card');
                return c && [c.dataset.view, c.getAttribute('aria-busy'), document.activeElement.id, c.innerText]";
            crate::support::until_at(caller, format!("the view {view}"), PATIENCE, || async {
                let seen = self.run(script).await;
                let focused = seen[2] == "heading" || seen[2] == "code";
                if seen[0] == *view && seen[1] != "true" && focused { Ok(()) } else { Err(seen.to_string()) }
            })
            .await;
        }
    }

    /// All text of the page.
    pub async fn reads(&self) -> String {
        self.text("document.body.innerText").await
    }

    /// The text of what has this id; empty where it is absent.
    pub async fn says(&self, id: &str) -> String {
        self.text(&format!("document.getElementById('{id}')?.innerText ?? ''")).await
    }

    pub async fn press(&self, id: &str) {
        let found = self.client.find(Locator::Id(id)).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        found.click().await.unwrap_or_else(|error| panic!("{id}: {error}"));
    }

    pub async fn look(&self, look: Look) {
        let size =
            json!({"width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if look.dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// Keeps a picture of the whole page.
    pub async fn picture(&self, name: &str) {
        let png =
            self.devtools("Page.captureScreenshot", json!({"captureBeyondViewport": true, "format": "png"})).await;
        let png = STANDARD.decode(png["data"].as_str().expect("a picture")).expect("base64");
        fs::write(pictures().join(format!("{name}.png")), png).expect("a file");
    }

    /// What axe-core has to say against the page, by the rules of WCAG 2.2 AA and good practice.
    pub async fn barriers(&self) -> Vec<String> {
        if self.run("return typeof axe").await != "object" {
            self.run(self.axe).await;
        }
        let run = "const done = arguments[arguments.length - 1];
            const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
            axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations', 'incomplete']})
              .then((said) => done({passes: said.passes.length, found: [...said.violations, ...said.incomplete].map((rule) =>
                `${rule.id}: ${rule.help}: ${rule.nodes.map((node) => node.html).join(' ')}`)}), (error) => done({error: String(error)}))";
        let said = self.client.execute_async(run, Vec::new()).await.expect("axe-core runs");
        assert!(said["passes"].as_u64() > Some(10), "axe-core looked at nothing: {said}");
        let found = said["found"].as_array().expect("a list").iter();
        found.map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Looks at the page on a desk by day, and on a phone by night: a picture of each, no barrier, nothing cut off.
    pub async fn is_fit_for_people(&self, name: &str) {
        for (look, which) in [(DESK, "desk"), (PHONE_AT_NIGHT, "phone")] {
            self.look(look).await;
            self.picture(&format!("{name}-{which}")).await;
            assert_eq!(self.barriers().await, Vec::<String>::new(), "{name} {which}");
            let (wide, there) = (self.run("return document.documentElement.scrollWidth").await, look.width);
            assert_eq!(wide, there, "{name} {which}: people would have to scroll sideways");
        }
        self.look(DESK).await;
    }

    /// The lines of the browser's console.
    pub async fn console(&self) -> Vec<String> {
        let lines = self.extension("se/log", json!({"type": "browser"})).await;
        let lines = lines.as_array().cloned().unwrap_or_default();
        lines.iter().map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// All requests of this page since the browser was started, by the browser's own log.
    pub async fn requests(&self) -> Vec<Requested> {
        let lines = self.extension("se/log", json!({"type": "performance"})).await;
        let mut all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.as_array().into_iter().flatten() {
            let line: Value = serde_json::from_str(line["message"].as_str().unwrap_or_default()).expect("JSON");
            let message = &line["message"];
            if message["method"] == "Network.requestWillBeSent" {
                let text = |name: &str| message["params"]["request"][name].as_str().unwrap_or_default().to_owned();
                all.push(Requested { method: text("method"), url: text("url"), all: message["params"].clone() });
            }
        }
        all.clone()
    }
}
