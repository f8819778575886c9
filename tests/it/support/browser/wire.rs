//! The browser's process and its `DevTools` socket (RFC 6455): one question at a time, events kept.

use std::{
    cell::{Cell, RefCell},
    fs, io,
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use super::super::{SOON, until, wait};

/// It stays on this machine, says nothing home, and draws without a screen.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--no-proxy-server",
    "--password-store=basic",
    "--use-mock-keychain",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, \
     EXCLUDE evil.localhost",
    "--remote-debugging-port=0",
];
/// How long one look at the socket waits.
const LOOK: Duration = Duration::from_millis(50);

/// A browser that runs until this is dropped, with a profile of its own.
pub(crate) struct Browser {
    child: Child,
    profile: TempDir,
    socket: RefCell<WebSocket<TcpStream>>,
    last_id: Cell<u64>,
    events: RefCell<Vec<Value>>,
}

impl Browser {
    pub(super) fn launch(program: &Path) -> Self {
        let profile = tempfile::Builder::new().prefix("cs-browser").tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(FLAGS).arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg("about:blank").env("HOME", profile.path()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        // From here on a panic ends the process.
        let mut ended = Ended { child: Some(child) };
        let file = profile.path().join("DevToolsActivePort");
        let (port, path) = until("the browser answers", SOON, || {
            let status = ended.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(status.is_none(), "{} ended: {status:?}", program.display());
            let said = fs::read_to_string(&file).ok()?;
            let (port, path) = said.trim().split_once('\n')?;
            Some((port.parse::<u16>().ok()?, path.to_owned()))
        });
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        socket.get_ref().set_read_timeout(Some(LOOK)).unwrap();
        Self {
            child: ended.child.take().unwrap(),
            profile,
            socket: RefCell::new(socket),
            last_id: Cell::new(0),
            events: RefCell::default(),
        }
    }

    fn send(&self, session: Option<&str>, method: &str, parameters: Value) -> u64 {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.socket.borrow_mut().send(Message::text(message.to_string())).unwrap();
        id
    }

    /// Asks, and gives the result or the browser's error.
    pub(super) fn call(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
    ) -> Result<Value, String> {
        let id = self.send(session, method, parameters);
        let until = Instant::now() + SOON;
        while Instant::now() < until {
            let Some(message) = self.read() else { continue };
            if message["id"] == id {
                let error = message["error"]["message"].as_str();
                return error.map_or(Ok(message["result"].clone()), |error| Err(error.to_owned()));
            }
            self.keep(message);
        }
        Err(format!("{method}: no answer within {SOON:?}"))
    }

    /// Asks for what there must be.
    #[track_caller]
    pub(super) fn must(&self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        let shown = parameters.to_string();
        self.call(session, method, parameters)
            .unwrap_or_else(|error| panic!("{method} {shown:.400}: {error}"))
    }

    /// The next message, or none within a moment.
    fn read(&self) -> Option<Value> {
        let again = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
        match self.socket.borrow_mut().read() {
            Ok(message) => message.to_text().ok().and_then(|text| serde_json::from_str(text).ok()),
            Err(tungstenite::Error::Io(error)) if again.contains(&error.kind()) => None,
            Err(error) => panic!("the browser is gone: {error}"),
        }
    }

    fn keep(&self, event: Value) {
        // A dialog would hold the page up; nothing of ours opens one.
        if event["method"] == "Page.javascriptDialogOpening" {
            let session = event["sessionId"].as_str();
            self.send(session, "Page.handleJavaScriptDialog", json!({"accept": true}));
        }
        if event["method"].is_string() {
            self.events.borrow_mut().push(event);
        }
    }

    /// Reads what has come.
    pub(super) fn pump(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            match self.read() {
                Some(event) => self.keep(event),
                None => return,
            }
        }
    }

    pub(super) fn has_event(&self, wanted: impl Fn(&Value) -> bool) -> bool {
        self.events.borrow().iter().any(wanted)
    }

    /// The events of a tab so far, which are then forgotten.
    pub(super) fn take_events(&self, session: &str) -> Vec<Value> {
        let mut events = self.events.borrow_mut();
        let (taken, left) = std::mem::take(&mut *events)
            .into_iter()
            .partition(|event| event["sessionId"] == session);
        *events = left;
        taken
    }
}

/// What an event says that a quiet page has none of.
pub(super) fn problem(event: &Value) -> Option<String> {
    let parameters = &event["params"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => {
            let details = &parameters["exceptionDetails"];
            let said = &details["exception"]["description"];
            let said = if said.is_string() { said } else { &details["text"] };
            Some(format!("exception: {}", text(said)))
        }
        "Runtime.consoleAPICalled"
            if ["error", "assert"].iter().any(|k| parameters["type"] == *k) =>
        {
            Some(format!("console: {}", parameters["args"]))
        }
        "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
            let entry = &parameters["entry"];
            Some(format!(
                "{}: {} {}",
                text(&entry["source"]),
                text(&entry["text"]),
                text(&entry["url"])
            ))
        }
        "Audits.issueAdded" if parameters["issue"]["code"] == "ContentSecurityPolicyIssue" => {
            Some(format!("content security policy: {}", parameters["issue"]["details"]))
        }
        "Page.javascriptDialogOpening" => Some(format!("dialog: {}", text(&parameters["message"]))),
        _ => None,
    }
}

/// Ends a browser that was not taken over.
struct Ended {
    child: Option<Child>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

fn end(child: &mut Child) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        kill_process_group(group, Signal::KILL).ok(); // It may have ended by itself.
    }
    child.wait().ok();
}

impl Drop for Browser {
    fn drop(&mut self) {
        end(&mut self.child);
        // Its other processes may write to the profile until they are gone.
        let gone = || fs::remove_dir_all(self.profile.path()).ok();
        wait::within(Duration::from_secs(5), gone);
    }
}
