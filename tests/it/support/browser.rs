//! A person at a browser: headless Chromium over its `DevTools` protocol. Mouse and keys are real
//! events at real places; what the page says on its console is kept, so that a test can ask for
//! silence. It reaches no other machine.

mod keys;
mod wire;

use std::{
    cell::{Cell, RefCell},
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{SOON, require, wait};
pub(crate) use wire::Browser;

/// The tallest picture that is taken: a long conversation is not one sheet.
const PICTURE_HEIGHT_MAX: f64 = 6000.0;

/// A browser, where this machine has one.
pub(crate) fn browser() -> Option<Browser> {
    let Some(program) = program() else {
        require::skip(
            "browser",
            "no Chromium; install it, or set COUNTERSIGN_TEST_CHROMIUM to its path",
        );
        return None;
    };
    Some(Browser::launch(&program))
}

fn program() -> Option<PathBuf> {
    if let Some(set) = env::var_os("COUNTERSIGN_TEST_CHROMIUM") {
        return Some(set.into());
    }
    let path = env::var_os("PATH")?;
    // The shell draws the same pages for half the work.
    let names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
    let mut places =
        names.iter().flat_map(|name| env::split_paths(&path).map(move |dir| dir.join(name)));
    places.find(|place| place.is_file())
}

/// One tab.
pub(crate) struct Page<'b> {
    browser: &'b Browser,
    session: String,
    problems: RefCell<Vec<String>>,
    effort: Cell<Effort>,
}

/// What a person had to do in a tab so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Clicks on links, buttons and boxes.
    pub(crate) clicks: u32,
    /// Fields that were typed or pasted into.
    pub(crate) fields: u32,
}

impl Browser {
    /// A new tab, which shares its cookies with the others of this kind.
    pub(crate) fn page(&self) -> Page<'_> {
        self.tab(&json!({"url": "about:blank"}))
    }

    /// A new tab with cookies and storage of its own, as another person's browser has.
    pub(crate) fn stranger(&self) -> Page<'_> {
        let context = self.must(None, "Target.createBrowserContext", json!({}));
        let context = &context["browserContextId"];
        self.tab(&json!({"url": "about:blank", "browserContextId": context}))
    }

    fn tab(&self, target: &Value) -> Page<'_> {
        let target = self.must(None, "Target.createTarget", target.clone());
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.must(None, "Target.attachToTarget", attach);
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let (problems, effort) = (RefCell::default(), Cell::default());
        let page = Page { browser: self, session, problems, effort };
        for domain in ["Page", "Runtime", "Log", "Audits", "DOM"] {
            page.must(&format!("{domain}.enable"), json!({}));
        }
        page
    }
}

impl Page<'_> {
    #[track_caller]
    fn must(&self, method: &str, parameters: Value) -> Value {
        self.browser.must(Some(&self.session), method, parameters)
    }

    /// Opens `url` and waits until it is loaded.
    #[track_caller]
    pub(crate) fn goto(&self, url: &str) {
        let error = self.try_goto(url);
        assert!(error.is_none(), "{url}: {error:?}");
    }

    /// Opens `url`; gives the browser's error where it shows one.
    pub(crate) fn try_goto(&self, url: &str) -> Option<String> {
        self.collect();
        let went = self.must("Page.navigate", json!({"url": url}));
        if let Some(error) = went["errorText"].as_str() {
            return Some(error.to_owned());
        }
        // Within one document there is nothing to load.
        if went["loaderId"].is_string() {
            self.loaded();
        }
        None
    }

    /// Loads the page anew.
    pub(crate) fn reload(&self) {
        self.collect();
        self.must("Page.reload", json!({}));
        self.loaded();
    }

    fn loaded(&self) {
        let fired = |event: &Value| {
            event["method"] == "Page.loadEventFired" && event["sessionId"] == self.session.as_str()
        };
        let loaded = wait::within(SOON, || {
            self.browser.pump(Duration::from_millis(20));
            self.browser.has_event(fired).then_some(())
        });
        assert!(loaded, "the page is not loaded within {SOON:?}: {}", self.report());
    }

    /// What the script gives; a promise is waited for.
    pub(crate) fn try_eval(&self, script: &str) -> Result<Value, String> {
        let parameters = json!({
            "expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let answer = self.browser.call(Some(&self.session), "Runtime.evaluate", parameters)?;
        let thrown = &answer["exceptionDetails"];
        if thrown.is_null() {
            return Ok(answer["result"]["value"].clone());
        }
        let said = thrown["exception"]["description"].as_str().or(thrown["text"].as_str());
        Err(said.unwrap_or("it throws").to_owned())
    }

    /// What the script gives; it must not throw.
    #[track_caller]
    pub(crate) fn eval(&self, script: &str) -> Value {
        self.try_eval(script).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until the script gives something true, over a change of pages too.
    #[track_caller]
    pub(crate) fn wait_for(&self, condition: &str) {
        let script = format!("Boolean({condition})");
        // While a page goes, its scripts are cut off.
        let holds =
            wait::within(SOON, || (self.try_eval(&script) == Ok(json!(true))).then_some(()));
        assert!(holds, "not within {SOON:?}: {condition}\n{}", self.report());
    }

    /// What a script gives that only looks; again, while the page gives way to another one.
    #[track_caller]
    fn look(&self, script: &str) -> Value {
        let mut last = Err(String::new());
        let _looked = wait::within(SOON, || {
            last = self.try_eval(script);
            last.is_ok().then_some(())
        });
        last.unwrap_or_else(|error| panic!("{script}: {error}\n{}", self.report()))
    }

    /// Whether there is such an element.
    #[track_caller]
    pub(crate) fn exists(&self, selector: &str) -> bool {
        self.look(&format!("document.querySelector({}) !== null", json!(selector))) == true
    }

    /// The text of the first such element, as it is shown, once there is one.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        let element = self.element(selector);
        self.look(&format!("{element}.innerText")).as_str().unwrap_or_default().to_owned()
    }

    /// The page's source as it is now, once there is one: a page that gives way to another has none.
    #[track_caller]
    pub(crate) fn whole(&self) -> String {
        self.look("document.documentElement.outerHTML").as_str().unwrap_or_default().to_owned()
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> String {
        self.look("location.href").as_str().unwrap_or_default().to_owned()
    }

    /// Where each frame within the page is; a frame that was refused shows an error of the browser's.
    pub(crate) fn frames(&self) -> Vec<String> {
        let tree = self.must("Page.getFrameTree", json!({}))["frameTree"].clone();
        let frames = tree["childFrames"].as_array().cloned().unwrap_or_default();
        let url = |frame: &Value| frame["frame"]["url"].as_str().unwrap_or_default().to_owned();
        frames.iter().map(url).collect()
    }

    /// A script for the first such element, once there is one.
    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let element = format!("document.querySelector({})", json!(selector));
        self.wait_for(&element);
        element
    }

    /// Clicks in the middle of the first such element, as a mouse does: it must be on the screen,
    /// and nothing may lie over it.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        self.effort.set(Effort { clicks: self.effort.get().clicks + 1, ..self.effort.get() });
        self.click_at(selector);
    }

    #[track_caller]
    fn click_at(&self, selector: &str) {
        let element = self.element(selector);
        let script = format!(
            "(() => {{ const e = {element};
                e.scrollIntoView({{block: 'center', inline: 'center', behavior: 'instant'}});
                const r = e.getClientRects()[0];
                if (!r) return null;
                const x = r.left + r.width / 2, y = r.top + r.height / 2;
                const hit = document.elementFromPoint(x, y);
                const over = hit && (e.contains(hit) || hit.contains(e)) ? '' :
                    (hit ? hit.outerHTML.slice(0, 200) : 'nothing');
                return {{x, y, over}}; }})()"
        );
        let place = self.eval(&script);
        assert!(place.is_object(), "{selector} is not shown\n{}", self.report());
        assert_eq!(place["over"], "", "something lies over {selector}");
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let count = i32::from(kind != "mouseMoved");
            let event = json!({
                "type": kind, "x": place["x"], "y": place["y"], "button": button,
                "buttons": buttons, "clickCount": count,
            });
            self.must("Input.dispatchMouseEvent", event);
        }
    }

    /// Clicks what leads to another page, and waits until that one is there.
    #[track_caller]
    pub(crate) fn follow(&self, selector: &str) {
        self.element(selector);
        self.leaves(|| self.click(selector));
    }

    /// Waits until the page that is left by `act` has made room for the next one.
    #[track_caller]
    pub(crate) fn leaves(&self, act: impl FnOnce()) {
        self.eval("window.isLeft = true");
        act();
        self.wait_for("!window.isLeft && document.readyState === 'complete'");
    }

    /// Clicks into the first such element, and types.
    #[track_caller]
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        self.enter_field(selector);
        for c in text.chars() {
            self.press(&c.to_string());
        }
    }

    /// Clicks into the first such element, and pastes.
    #[track_caller]
    pub(crate) fn paste_into(&self, selector: &str, text: &str) {
        self.enter_field(selector);
        self.must("Input.insertText", json!({"text": text}));
    }

    #[track_caller]
    fn enter_field(&self, selector: &str) {
        self.effort.set(Effort { fields: self.effort.get().fields + 1, ..self.effort.get() });
        self.click_at(selector);
    }

    /// What a person had to do in this tab so far.
    pub(crate) fn effort(&self) -> Effort {
        self.effort.get()
    }

    /// Presses a key: a character, or a name such as `Enter`, `Tab`, `Shift+Tab` or `ArrowDown`.
    #[track_caller]
    pub(crate) fn press(&self, key: &str) {
        for event in keys::events(key) {
            self.must("Input.dispatchKeyEvent", event);
        }
    }

    /// How large the window is, and whether its user likes it dark.
    pub(crate) fn looks(&self, width: u32, height: u32, dark: bool) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.must("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.must("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Takes a picture of the page down to its end, as a PNG at `path`.
    pub(crate) fn screenshot(&self, path: &Path, width: u32, height: u32, dark: bool) {
        self.looks(width, height, dark);
        let size = self.must("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let tall = size["height"].as_f64().unwrap_or(0.0).max(f64::from(height));
        // What is fixed to the window stands once, at the end of what is taken.
        self.looks(
            width,
            u32::try_from(size["height"].as_i64().unwrap_or(0)).unwrap().max(height),
            dark,
        );
        let clip = json!({
            "x": 0, "y": 0, "width": width, "height": tall.min(PICTURE_HEIGHT_MAX), "scale": 1,
        });
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.must("Page.captureScreenshot", wanted);
        let bytes = BASE64.decode(picture["data"].as_str().unwrap().as_bytes()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Errors on the console, uncaught exceptions, dialogs, and whatever the content security policy
    /// stopped, of all pages that this tab has shown.
    pub(crate) fn problems(&self) -> Vec<String> {
        // Whatever was said before this call has come when it is answered.
        self.try_eval("1").ok();
        self.collect();
        self.problems.borrow().clone()
    }

    /// Forgets them, where a test expected some.
    pub(crate) fn forget_problems(&self) {
        self.problems();
        self.problems.borrow_mut().clear();
    }

    fn collect(&self) {
        let events = self.browser.take_events(&self.session);
        self.problems.borrow_mut().extend(events.iter().filter_map(wire::problem));
    }

    /// What axe-core finds by these of its rules, by all without one, a line each. Empty where it is
    /// not there; that is said loudly.
    pub(crate) fn axe_violations(&self, rules: &[&str]) -> Vec<String> {
        let Some(axe) = axe() else { return Vec::new() };
        if self.eval("'axe' in window") == false {
            // The policy of the page holds for its own scripts, and not for what is evaluated here.
            self.eval(&format!("{}; true", fs::read_to_string(axe).unwrap()));
        }
        let only = if rules.is_empty() { json!({}) } else { json!({"runOnly": rules}) };
        let found = self.eval(&format!(
            "axe.run(document, {{resultTypes: ['violations'], ...{only}}}).then(found => found.violations.map(v =>
                `${{v.id}} (${{v.impact}}): ${{v.help}}: ` + v.nodes.map(n => n.html.slice(0, 200)).join(' | ')))",
        ));
        serde_json::from_value(found).unwrap()
    }

    /// Everything a person needs when a test fails.
    fn report(&self) -> String {
        let text = self.try_eval("location.href + '\\n' + document.body.innerText.slice(0, 4000)");
        let text = text.map_or_else(|error| error, |text| text.as_str().unwrap_or("").to_owned());
        format!("--- page\n{text}\n--- problems\n{}", self.problems().join("\n"))
    }
}

fn axe() -> Option<PathBuf> {
    let set = env::var_os("COUNTERSIGN_TEST_AXE").map(PathBuf::from);
    let path = set.unwrap_or_else(|| {
        let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
        target.join("ci-node/node_modules/axe-core/axe.min.js")
    });
    if path.is_file() {
        return Some(path);
    }
    require::skip("browser", "no axe-core; set COUNTERSIGN_TEST_AXE to axe.min.js");
    None
}

#[cfg(test)]
mod tests;
