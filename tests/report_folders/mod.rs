//! Small result folders for tests of the report, with names that would run if they were taken for markup.

use std::fs;

use scorebench::record::{LossRow, Measure, OrderRow, ReachRow, Row, SampledRow, to_csv};
use tempfile::TempDir;

/// A solver's name.
pub const HOSTILE: &str = "<script>window.pwned=1</script>";

/// Four result folders: an experiment that says all, one on samples that does not say what it asks, a training, and
/// a quick run, which is no result.
pub fn results() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    write("01-orders/exact.csv", &to_csv(&exact()));
    write("01-orders/orders.csv", &to_csv(&orders()));
    write("01-orders/calls.csv", &to_csv(&calls()));
    write("01-orders/manifest.toml", MANIFEST);
    write("01-orders/summary.toml", SUMMARY);
    write("01-orders/figure.svg", FIGURE);
    write("01-orders/figure.png", "not looked into");
    write("01-orders/other.svg", FIGURE);
    write("02-samples/sampled.csv", &to_csv(&sampled()));
    write("02-samples/orders.csv", "");
    write("02-samples/figure.svg", FIGURE);
    let loss = LossRow { step: 100, loss: Some(0.5), ..LossRow::default() };
    write("net/loss.csv", &to_csv(&[loss]));
    write("net/manifest.toml", MANIFEST);
    write("tried-quick/exact.csv", &to_csv(&exact()));
    folder
}

/// Four solvers on two data laws, 16 step counts; one run diverged.
fn exact() -> Vec<Row> {
    let mut rows = Vec::new();
    for (d, data) in ["five\\modes", "steep \"k\", </script><script>window.pwned=2</script>\r\n<!-- <script>"]
        .iter()
        .enumerate()
    {
        for (s, solver) in ["ddim", "heun(clock=edm)", "dpmpp-2m", HOSTILE].iter().enumerate() {
            for k in 1..=16 {
                let diverged = s == 1 && k == 1;
                let w2 = (1 + d) as f64 * 0.7 * f64::from(k).powi(-1 - s as i32);
                rows.push(
                    Row {
                        experiment: "01-orders".into(),
                        data: data.to_string(),
                        schedule: "vp-linear".into(),
                        grid: "uniform-t".into(),
                        init: "marginal".into(),
                        solver: solver.to_string(),
                        steps: k as usize,
                        nfe: Some(2 * k as usize),
                        draws: Some(0),
                        w2: (!diverged).then_some(w2),
                        kl: (!diverged).then_some(w2 * w2),
                        error: if diverged { "diverged".into() } else { String::new() },
                        mode: "exact".into(),
                        key: format!("{d}{s}{k}"),
                        ..Row::default()
                    }
                    .sealed(),
                );
            }
        }
    }
    rows
}

fn orders() -> Vec<OrderRow> {
    let row = |solver: &str, order: f64, verdict: &str| OrderRow {
        data: "five\\modes".into(),
        schedule: "vp-linear".into(),
        solver: solver.into(),
        metric: "w2".into(),
        order: Some(order),
        stderr: Some(3e-3),
        claimed: Some(1.0),
        verdict: verdict.into(),
        reason: "100% & $x_1^2".into(),
        ..OrderRow::default()
    };
    vec![row("ddim", 1.0144, "pass"), row("heun(clock=edm)", 2.0, "fail"), row(HOSTILE, 0.3, "inconclusive")]
}

fn calls() -> Vec<ReachRow> {
    let row = |data: &str, target: f64, calls: Option<f64>| ReachRow {
        data: data.into(),
        solver: "ddim".into(),
        target: Some(target),
        calls,
        ..ReachRow::default()
    };
    vec![
        row("a", 1e-1, Some(8.2)),
        row("a", 1e-2, Some(89.5)),
        row("a", 1e-3, None),
        row("b", 1e-1, Some(12.0)),
        row("b", 1e-2, None),
        row("b", 1e-3, None),
        ReachRow { solver: HOSTILE.into(), ..row("b", 1e-3, None) },
    ]
}

fn sampled() -> Vec<SampledRow> {
    let row = |k: usize| {
        let measure = |metric: &str, value: f64| Measure {
            metric: metric.into(),
            value: Some(value),
            stderr: Some(0.1 * value.abs()),
            samples: Some(1000),
            ..Measure::default()
        };
        let shift = measure("shift", 0.5 - k as f64);
        Row {
            data: "ring".into(),
            solver: "ddim".into(),
            steps: k,
            nfe: Some(k),
            draws: Some(0),
            mode: "monte-carlo(precision=f64, samples=1000, seed=1)".into(),
            key: format!("s{k}"),
            measures: vec![measure("rmse", 1.0 / k as f64), shift],
            ..Row::default()
        }
    };
    [8, 16, 32].map(row).iter().flat_map(SampledRow::of).collect()
}

const MANIFEST: &str = "command = \"scorebench run '<b>.toml'\"\ncommit = \"0123456789abcdef\"\n\
                        date = \"2026-01-02T03:04:05Z\"\ndirty = true\nfeatures = [\"candle\", \"hub\"]\n";

const SUMMARY: &str = r#"
name = "01-orders"
question = "Is 100% & $x_1^2 of <img src=x onerror='window.pwned=3'> first order?"
analysis = """
It is: `w2 <= 0.1`, as \\{expected}.

But ~ not `always.
"""
figures = ["figure", "other"]
[[expectation]]
verdict = "met"
text = "ddim: order 1.014, expected 1"
[[expectation]]
verdict = "failed"
text = "ddim: w2 = 2e-1, expected at most 1e-1"
[[expectation]]
verdict = "open"
text = "expect[2] covers no cell"
"#;

const FIGURE: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100" viewBox="0 0 200 100" onload="window.pwned=4">
<title>old title</title><style>path{fill:red}</style><script>window.pwned=5</script>
<defs><clipPath id="frame"><rect width="200" height="100"/></clipPath></defs>
<g class="s s0" clip-path="url(#frame)"><title>ddim 1: 0.7</title><path d="M10 10L190 90" fill="none" stroke="#0072b2"/></g>
<g class="s s1 skip" onclick="window.pwned=6"><path d="M10 90L190 10" fill="none" stroke="#d55e00"/></g>
<text x="20" y="95">a &lt; b</text><image href="http://127.0.0.1/x.png"/>
</svg>
"##;
