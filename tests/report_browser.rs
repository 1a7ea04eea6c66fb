//! The report's page in a browser: Chromium, driven over WebDriver. Skipped where there is no chromedriver.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use scorebench::report::Report;
use serde_json::{Value, json};

mod report_folders;

/// A browser, closed when it is dropped.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts chromedriver on a port of its own choice, and a browser; none where there is no chromedriver.
    fn start() -> Option<Self> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().ok()?;
        let mut said = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = said.find_map(|line| {
            line.ok()?.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
        });
        // What it says later is thrown away, so that it never waits for a reader.
        std::thread::spawn(move || said.for_each(drop));
        let profile = tempfile::tempdir().expect("a folder");
        let mut browser =
            Browser { driver, port: port.expect("a port"), session: String::new(), _profile: profile };
        let data = format!("--user-data-dir={}", browser._profile.path().display());
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--window-size=1300,900", data,
        ]});
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let session = browser.ask("POST", "/session", &wanted);
        browser.session = format!("/session/{}", session["sessionId"].as_str().expect("a session"));
        Some(browser)
    }

    /// One request, over a connection of its own.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port);
        let rest = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all((head + &rest).as_bytes()).expect("sent");
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).expect("an answer") > 2 {
            if let Some((key, value)) = line.split_once(':')
                && key.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).expect("a whole answer");
        let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{method} {path}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("{}{path}", self.session), body)
    }

    /// The value of a script's `return`; a promise is waited for.
    fn js(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until a condition holds.
    fn until(&self, condition: &str) {
        let start = Instant::now();
        while self.js(&format!("return Boolean({condition})")) != json!(true) {
            assert!(start.elapsed() < Duration::from_secs(60), "never: {condition}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn keys(&self, text: &str) {
        let keys: Vec<Value> = text
            .chars()
            .flat_map(|c| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": c.to_string() })))
            .collect();
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "k", "actions": keys }] }));
    }

    /// A command of the developer tools.
    fn tool(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    fn open(&self, page: &Path) {
        self.post("/url", &json!({ "url": format!("file://{}", page.display()) }));
        self.js(&format!("window.one = (s) => document.querySelector(s); {ALL}"));
    }

    /// Opens the places of the first experiment that are built when they are opened.
    fn unfold(&self) {
        self.js("one('#\\\\30 1-orders-plot').open = true; one('#\\\\30 1-orders-tables').open = true;");
        self.until("one('.curve') && one('.rows tbody tr')");
    }
}

const ALL: &str = "window.all = (s) => [...document.querySelectorAll(s)];";

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.ask("DELETE", &self.session, &Value::Null)));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn the_page_does_what_it_offers() {
    let Some(browser) = Browser::start() else {
        println!("skipped: no chromedriver on PATH");
        return;
    };
    let folder = report_folders::results();
    let page = folder.path().join("report.html");
    fs::write(&page, Report::read(folder.path()).expect("good results").html()).expect("written");
    let mut failed = Vec::new();
    for (name, claim) in CLAIMS {
        browser.open(&page);
        if catch_unwind(AssertUnwindSafe(|| claim(&browser, folder.path()))).is_err() {
            failed.push(name);
        }
    }
    let log = browser.post("/se/log", &json!({ "type": "browser" }));
    assert_eq!(log, json!([]), "nothing is said on the console");
    assert!(failed.is_empty(), "{failed:?}");
}

type Claim = fn(&Browser, &Path);

const CLAIMS: [(&str, Claim); 12] = [
    ("it calls for nothing and runs nothing of its files", inert),
    ("plots and tables are built when they are opened", lazy),
    ("hiding a solver hides its curve", solvers),
    ("a linear axis has other ticks", axes),
    ("errors, panels and bars are those chosen", choices),
    ("pointing and arrow keys say what a point is", points),
    ("headers sort", sorting),
    ("the filter filters, and pages turn", filtering),
    ("downloads are the files", downloads),
    ("the theme changes colours", theme),
    ("the keyboard reaches all controls", keyboard),
    ("print shows figures and no controls", print),
];

fn inert(b: &Browser, _: &Path) {
    b.unfold();
    assert_eq!(b.js("return window.pwned ?? null"), Value::Null);
    assert_eq!(b.js("return performance.getEntriesByType('resource').length"), json!(0));
    let shown =
        b.js("return all('.solver').some((s) => s.textContent.includes('<script>window.pwned=1</script>'))");
    assert_eq!(shown, json!(true), "it is shown as text");
    assert_eq!(b.js("return all('script:not([type])').length"), json!(1));
}

fn lazy(b: &Browser, _: &Path) {
    assert_eq!(b.js("return all('.curve, .rows').length"), json!(0));
    b.unfold();
    assert_eq!(b.js("return all('.curve').length"), json!(4));
    // Not one row more than a page.
    assert_eq!(b.js("return all('.rows tbody tr').length"), json!(25));
    assert_eq!(b.js("return all('.rows').length"), json!(1), "of the other folders nothing");
}

fn solvers(b: &Browser, _: &Path) {
    b.unfold();
    let curves = "return all('.curve').map((g) => g.dataset.solver)";
    let before = b.js("return one('.curve[data-solver=\"dpmpp-2m\"]').classList.value");
    b.js("one('.solver input[value=\"ddim\"]').click()");
    let left = b.js(curves);
    assert!(left.as_array().is_some_and(|l| l.len() == 3 && !l.contains(&json!("ddim"))), "{left}");
    let after = b.js("return one('.curve[data-solver=\"dpmpp-2m\"]').classList.value");
    assert_eq!(before, after, "the others keep their looks");
    b.js("all('.legend button').find((x) => x.textContent === 'none').click()");
    assert_eq!(b.js(curves), json!([]));
    b.js("all('.legend button').find((x) => x.textContent === 'all').click()");
    assert_eq!(b.js("return all('.curve').length"), json!(4));
    let looks = b.js("return new Set(all('.curve').map((g) => g.classList.value)).size");
    assert_eq!(looks, json!(4));
}

fn axes(b: &Browser, _: &Path) {
    b.unfold();
    for axis in ["x", "y"] {
        let labels = format!("return all('.tick-{axis}').map((t) => t.textContent)");
        let log = b.js(&labels);
        b.js(&format!("one('input[name=log-{axis}]').click()"));
        let linear = b.js(&labels);
        assert!(log != linear && linear.as_array().is_some_and(|l| l.len() > 2), "{log} {linear}");
        let far = b.js(&format!(
            "const t = all('.tick-{axis}').map((t) => +t.getAttribute('{axis}')).sort((p, q) => p - q); \
             return Math.abs((t[1] - t[0]) - (t[2] - t[1]))"
        ));
        assert!(far.as_f64().is_some_and(|far| far < 0.01), "evenly spaced: {far}");
    }
}

fn choices(b: &Browser, _: &Path) {
    b.unfold();
    let ticks = "return all('#\\\\30 1-orders-plot .tick-y, #\\\\30 1-orders-plot .tick-x').map((t) => t.textContent)";
    let mut before = b.js(ticks);
    for (label, value) in [("Error", "kl"), ("Panel", "1"), ("Against", "nfe")] {
        let script = format!(
            "const s = one('#\\\\30 1-orders-plot select[aria-label={label}]'); s.value = '{value}'; \
             s.dispatchEvent(new Event('change')); return s.value"
        );
        assert_eq!(b.js(&script), json!(value));
        let after = b.js(ticks);
        assert_ne!(after, before, "{label}");
        before = after;
    }
    assert_eq!(b.js("return all('.curve .bars').every((p) => !p.getAttribute('d'))"), json!(true));
    b.js("one('#\\\\30 2-samples-plot').open = true");
    b.until("one('#\\\\30 2-samples-plot .curve')");
    let bars = b.js("return one('#\\\\30 2-samples-plot .bars').getAttribute('d').split('V').length - 1");
    assert_eq!(bars, json!(3));
    let note = "return one('#\\\\30 2-samples-plot .note').textContent";
    assert!(b.js(note).as_str().is_some_and(|n| n.starts_with("Bars: 2 standard errors")));
    b.js("const s = one('#\\\\30 2-samples-plot select[aria-label=Error]'); s.value = 'shift'; s.dispatchEvent(new Event('change'))");
    assert!(b.js(note).as_str().is_some_and(|n| n.contains("3 points at or below zero")), "{}", b.js(note));
}

fn points(b: &Browser, _: &Path) {
    b.unfold();
    b.js("one('.plot').scrollIntoView({ block: 'center' })");
    let at = b.js("const r = one('.curve[data-solver=ddim] .marker').getBoundingClientRect(); \
         return [Math.round(r.left + 4), Math.round(r.top + 4)]");
    let moved = json!({ "type": "pointerMove", "x": at[0], "y": at[1], "duration": 0 });
    b.post("/actions", &json!({ "actions": [{ "type": "pointer", "id": "m", "actions": [moved] }] }));
    let tip = b.js("return one('.tip').hidden ? '' : one('.tip').textContent");
    assert!(tip.as_str().is_some_and(|t| t.contains("1 steps") && t.contains("w2 0.7000")), "{tip}");
    b.js("one('.plot').focus()");
    b.keys("\u{e014}\u{e014}\u{e014}");
    let said = b.js("return one('.said').textContent");
    assert!(said.as_str().is_some_and(|t| t.starts_with("ddim: 4 steps")), "{said}");
    assert_eq!(b.js("return one('.said').getAttribute('aria-live')"), json!("polite"));
    assert_eq!(b.js("return all('.curve.faded').length"), json!(3));
    b.keys("\u{e00c}");
    assert_eq!(b.js("return all('.curve.faded').length"), json!(0));
}

fn sorting(b: &Browser, _: &Path) {
    b.unfold();
    let column = "const k = all('.rows th').findIndex((h) => h.textContent.startsWith('w2')); \
                  return all('.rows tbody tr').map((r) => Number(r.children[k].title))";
    for (way, sign) in [("ascending", 1.0), ("descending", -1.0)] {
        b.js("all('.rows th button').find((h) => h.textContent.startsWith('w2')).click()");
        let values: Vec<f64> = serde_json::from_value(b.js(column)).expect("numbers");
        assert!(values.len() == 25 && values.windows(2).all(|w| sign * (w[1] - w[0]) >= 0.0), "{values:?}");
        assert_eq!(b.js("return all('.rows th[aria-sort=none]').length > 1"), json!(true));
        assert_eq!(
            b.js(&format!("return one('.rows th[aria-sort={way}]').textContent.slice(0, 2)")),
            json!("w2")
        );
        assert_eq!(b.js("return document.activeElement.dataset.column !== undefined"), json!(true));
    }
    // Two runs of 128 have no value: last either way.
    b.js("for (let k = 0; k < 9; k += 1) all('button').filter((x) => x.textContent === 'next').forEach((x) => x.click())");
    let last: Vec<f64> = serde_json::from_value(b.js(column)).expect("numbers");
    assert_eq!(last[last.len() - 2..], [0.0, 0.0]);
}

fn filtering(b: &Browser, _: &Path) {
    b.unfold();
    let status = "return one('.rows').closest('.built').querySelector('.count').textContent";
    assert_eq!(b.js(status), json!("rows 1–25 of 128"));
    b.js("const f = one('input[aria-label=\"Filter rows\"]'); f.value = 'DDIM five'; f.dispatchEvent(new Event('input'))");
    b.until("all('.rows tbody tr').length === 16");
    assert_eq!(
        b.js("return all('.rows tbody tr').every((r) => r.textContent.includes('ddim'))"),
        json!(true)
    );
    assert_eq!(b.js(status), json!("rows 1–16 of 16 found in 128"));
    b.js("const f = one('input[aria-label=\"Filter rows\"]'); f.value = ''; f.dispatchEvent(new Event('input'))");
    b.until("all('.rows tbody tr').length === 25");
    b.js("for (let k = 0; k < 9; k += 1) all('button').filter((x) => x.textContent === 'next').forEach((x) => x.click())");
    assert_eq!(b.js(status), json!("rows 126–128 of 128"));
    b.js("const s = one('select[aria-label=Table]'); s.value = 1; s.dispatchEvent(new Event('change'))");
    assert_eq!(b.js("return all('.rows tbody tr').length"), json!(3), "the table of orders");
}

fn downloads(b: &Browser, folder: &Path) {
    b.unfold();
    b.js(
        "window.blobs = []; const make = URL.createObjectURL; \
         URL.createObjectURL = (blob) => { window.blobs.push(blob); return make.call(URL, blob); }; \
         HTMLAnchorElement.prototype.click = function () { window.named = this.download; }; \
         const s = one('select[aria-label=Table]'); \
         for (const o of [...s.options]) { s.value = o.value; s.dispatchEvent(new Event('change')); one('.download').click(); }",
    );
    assert_eq!(b.js("return window.named"), json!("01-orders-calls.csv"));
    for (k, file) in ["exact.csv", "orders.csv", "calls.csv"].iter().enumerate() {
        let bytes =
            b.js(&format!("return window.blobs[{k}].arrayBuffer().then((a) => [...new Uint8Array(a)])"));
        let bytes: Vec<u8> = serde_json::from_value(bytes).expect("bytes");
        assert!(bytes == fs::read(folder.join("01-orders").join(file)).expect("a table"), "{file}");
    }
}

fn theme(b: &Browser, _: &Path) {
    let colours = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]";
    let light = b.js(colours);
    b.js("one('#theme').click()");
    let dark = b.js(colours);
    assert!(light[0] == "rgb(255, 255, 255)" && dark[0] == "rgb(20, 20, 20)", "{light} {dark}");
    assert_eq!(b.js("return one('#theme').getAttribute('aria-pressed')"), json!("true"));
    assert_ne!(b.js("return getComputedStyle(one('.paper svg')).filter"), json!("none"));
    b.js("one('#theme').click()");
    assert_eq!(b.js(colours), light);
    // What the system wants, without a click.
    let wanted = |scheme: &str| json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    b.open(Path::new(&b.js("return location.pathname").as_str().expect("a path").to_string()));
    b.tool("Emulation.setEmulatedMedia", wanted("dark"));
    assert_eq!(b.js(colours), dark);
    b.tool("Emulation.setEmulatedMedia", wanted("light"));
    assert_eq!(b.js(colours), light);
}

fn keyboard(b: &Browser, _: &Path) {
    b.unfold();
    b.keys("\u{e004}");
    assert_eq!(b.js("return document.activeElement.className"), json!("skip"));
    // From one control to the next until the page is left: none is a trap, and each that is seen is reached.
    b.js("window.reached = new Set(); addEventListener('focusin', (e) => window.reached.add(e.target)); one('.skip').blur()");
    b.js("one('.skip').focus()");
    for _ in 0..12 {
        b.keys(&"\u{e004}".repeat(10));
    }
    let missed = b.js(
        "return all('button, select, input, summary, .plot, a[href]').filter((e) => e.checkVisibility() && !e.disabled \
         && !window.reached.has(e)).map((e) => e.outerHTML.slice(0, 80))",
    );
    assert_eq!(missed, json!([]));
    b.js("one('.skip').focus()");
    b.keys("\u{e007}");
    assert_eq!(b.js("return document.activeElement.id"), json!("main"));
    let levels = b.js("return all('h1, h2, h3, h4').map((h) => Number(h.tagName[1]))");
    let levels: Vec<u8> = serde_json::from_value(levels).expect("levels");
    assert!(levels[0] == 1 && levels.windows(2).all(|w| w[1] <= w[0] + 1), "{levels:?}");
    let nameless = b.js(
        "return all('select, input, button, .paper svg, .plot, [tabindex=\"0\"]').filter((e) => !(e.textContent.trim() || \
         e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.closest('label')?.textContent.trim())).length",
    );
    assert_eq!(nameless, json!(0));
}

fn print(b: &Browser, _: &Path) {
    b.unfold();
    b.js("one('#theme').click()");
    let seen = |what: &str| b.js(&format!("return all('{what}').filter((e) => e.checkVisibility()).length"));
    assert!(seen("button, select, input, nav").as_u64() > Some(10));
    b.tool("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    let (controls, figures) = (seen("button, select, input, nav, .plot"), seen(".paper svg"));
    let filter = b.js("return getComputedStyle(one('.paper svg')).filter");
    let paper = b.js("return getComputedStyle(document.body).backgroundColor");
    b.tool("Emulation.setEmulatedMedia", json!({ "media": "" }));
    assert_eq!((controls, figures), (json!(0), json!(3)));
    assert_eq!(
        (filter, paper),
        (json!("none"), json!("rgb(255, 255, 255)")),
        "on white paper, also from the dark"
    );
}
