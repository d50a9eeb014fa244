//! A real browser, driven over its debugging pipe: JSON messages, each ended by a NUL byte, on its descriptors 3 and 4.
//! Nothing here waits for time to pass: it waits for answers and events, and gives up when the browser is stuck.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// No answer takes this long from a browser that is not stuck.
const PATIENCE: Duration = Duration::from_mins(4);
/// Names under which the browser is installed.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page. Dropping it ends the browser.
pub(crate) struct Browser {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    last: u64,
    session: String,
    /// Events that nobody has asked for yet, oldest first.
    events: VecDeque<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts the browser with an empty page.
    ///
    /// # Panics
    /// When it is not installed: these tests cannot be passed without one.
    pub(crate) fn start() -> Self {
        let program = NAMES
            .into_iter()
            .find(|name| {
                let found = Command::new("sh")
                    .args(["-c", "command -v \"$1\"", "sh", name])
                    .stdout(Stdio::null())
                    .status();
                found.is_ok_and(|status| status.success())
            })
            .expect("no Chromium on PATH: install it with `apt-get install chromium`");
        let profile = TempDir::new().unwrap();
        let mut child = Command::new("sh")
            // The pipes become the descriptors 3 and 4 that the browser looks for.
            .args([
                "-c",
                "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null",
                "sh",
                program,
            ])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--remote-debugging-pipe",
                "--window-size=1280,900",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take();
        let stdout = child.stdout.take().unwrap();
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(stdout).split(0) {
                let Ok(message) = message else { break };
                if sender
                    .send(serde_json::from_slice(&message).unwrap())
                    .is_err()
                {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            last: 0,
            session: String::new(),
            events: VecDeque::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = browser.call(
            "Target.attachToTarget",
            &json!({"targetId": target["targetId"], "flatten": true}),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned).unwrap();
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser.call(
            "Emulation.setFocusEmulationEnabled",
            &json!({"enabled": true}),
        );
        browser
    }

    /// Asks the page's part of the protocol and returns the result.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() && !method.starts_with("Browser.") {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        let to = self.to.as_mut().unwrap();
        to.write_all(&bytes).and_then(|()| to.flush()).unwrap();
        loop {
            let mut answer = self.receive(method);
            if answer["id"] != json!(id) {
                self.events.push_back(answer);
                continue;
            }
            assert!(answer.get("error").is_none(), "{method}: {answer}");
            return answer["result"].take();
        }
    }

    fn receive(&self, waiting_for: &str) -> Value {
        self.from.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            panic!("the browser said nothing while waiting for {waiting_for}: {error}")
        })
    }

    /// Waits for an event and returns its parameters; those before it are kept.
    fn wait_for(&mut self, method: &str) {
        if let Some(at) = self
            .events
            .iter()
            .position(|event| event["method"] == method)
        {
            self.events.remove(at);
            return;
        }
        loop {
            let event = self.receive(method);
            if event["method"] == method {
                return;
            }
            self.events.push_back(event);
        }
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn open(&mut self, file: &Path) {
        self.events
            .retain(|event| event["method"] != "Page.loadEventFired");
        let opened = self.call(
            "Page.navigate",
            &json!({"url": format!("file://{}", file.display())}),
        );
        assert!(opened.get("errorText").is_none(), "{opened}");
        self.wait_for("Page.loadEventFired");
    }

    /// Evaluates an expression in the page; a promise is waited for.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let mut result = self.call(
            "Runtime.evaluate",
            &json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true}),
        );
        assert!(
            result.get("exceptionDetails").is_none(),
            "{expression}: {result}"
        );
        result["result"]["value"].take()
    }

    /// Waits until an expression is true. It is asked again as soon as it is answered: where scripts are off, no
    /// callback of the page's would ever run.
    pub(crate) fn until(&mut self, condition: &str) {
        let started = Instant::now();
        while self.eval(condition) != json!(true) {
            assert!(started.elapsed() < PATIENCE, "never true: {condition}");
        }
    }

    /// Clicks the middle of the first element that fits a selector, as a mouse does.
    pub(crate) fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{
                const element = document.querySelector({selector:?});
                element.scrollIntoView({{block: 'center', behavior: 'instant'}});
                const box = element.getClientRects()[0];
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const top = document.elementFromPoint(x, y);
                return [x, y, top === element || element.contains(top)];
            }})()"
        ));
        assert_eq!(
            place[2],
            json!(true),
            "{selector} is covered or not there: {place}"
        );
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                &json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1}),
            );
        }
    }

    /// Types text into the focused element.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Returns everything that a quiet page would not have caused: messages of the console, exceptions, violations of
    /// the policy, requests for anything but the files that were opened.
    pub(crate) fn noise(&mut self) -> Vec<String> {
        // A picture needs a frame, and what was caused before it has been told before it. The page's own callbacks
        // would not do: scripts may be off.
        self.call("Page.captureScreenshot", &json!({}));
        let events = self.events.iter().filter_map(|event| {
            let parameters = &event["params"];
            match event["method"].as_str()? {
                "Runtime.consoleAPICalled"
                | "Runtime.exceptionThrown"
                | "Log.entryAdded"
                | "Audits.issueAdded" => Some(event.to_string()),
                "Network.requestWillBeSent" => {
                    let is_page = parameters["type"] == "Document"
                        && parameters["request"]["url"]
                            .as_str()
                            .is_some_and(|url| url.starts_with("file://"));
                    (!is_page).then(|| event.to_string())
                }
                _ => None,
            }
        });
        events.collect()
    }

    /// Returns how many documents were asked for.
    pub(crate) fn documents(&self) -> usize {
        let is_document = |event: &&Value| {
            event["method"] == "Network.requestWillBeSent" && event["params"]["type"] == "Document"
        };
        self.events.iter().filter(is_document).count()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A closed pipe ends the browser and everything that it started; a stuck one is killed.
        drop(self.to.take());
        while let Ok(_rest) = self.from.recv_timeout(Duration::from_secs(20)) {}
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
