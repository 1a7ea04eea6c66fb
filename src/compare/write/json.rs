//! Everything, for programs: see [`super::Format::Json`].

use serde_json::{Map, Value, json};

use super::{Class, Comparison};
use crate::compare::{Difference, Ratio};

pub(super) fn write(found: &Comparison) -> String {
    let counts: Map<String, Value> =
        Class::ALL.iter().map(|class| (class.name().to_string(), found.count(*class).into())).collect();
    let ratio = |r: &Ratio| json!({ "solver": r.solver, "ratio": r.ratio, "cells": r.cells });
    let timing = found.timing.as_ref().map(|t| {
        let solvers: Vec<Value> = t.solvers.iter().map(ratio).collect();
        json!({ "overall": ratio(&t.overall), "solvers": solvers, "slower": t.slower })
    });
    let chance = found.chance.map(|c| {
        json!({ "numbers": c.numbers, "false_alarm": c.false_alarm, "errors": c.errors, "median": c.median })
    });
    let table =
        |t: &crate::compare::Compared| json!({ "kind": t.kind.name(), "file": t.file, "rows": t.rows });
    let all = json!({
        "format": 1,
        "baseline": found.baseline,
        "new": found.new,
        "failed": found.failed(),
        "fail_on": found.fail_on.iter().map(|c| c.name()).collect::<Vec<_>>(),
        "rows": found.rows(),
        "counts": counts,
        "chance": chance,
        "notes": found.notes,
        "tables": found.tables.iter().map(table).collect::<Vec<_>>(),
        "differences": found.differences.iter().map(difference).collect::<Vec<_>>(),
        "timing": timing,
    });
    format!("{}\n", serde_json::to_string_pretty(&all).unwrap_or_default())
}

fn difference(d: &Difference) -> Value {
    let key: Map<String, Value> = d.key.iter().map(|(n, v)| (n.to_string(), v.as_str().into())).collect();
    let changes: Vec<Value> = d
        .changes
        .iter()
        .map(|c| {
            json!({
                "class": c.class.name(), "column": c.column, "before": c.before, "after": c.after, "reason": c.reason,
            })
        })
        .collect();
    json!({
        "class": d.class.name(),
        "table": d.table.name(),
        "key": key,
        "column": d.column,
        "before": d.before,
        "after": d.after,
        "reason": d.reason,
        "file": d.file,
        "line": d.line,
        "changes": changes,
    })
}
