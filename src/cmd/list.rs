//! `scorebench list`: what can be named in an experiment.

use super::{Status, print, print_json};
use crate::error::Result;
use crate::solver::{Claim, registry};
use crate::study::{Kind, Quantity};
use crate::{data, grid::Grid, metric, schedule::Schedule};

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Which names
    what: What,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    Solvers,
    Schedules,
    Grids,
    Data,
    Metrics,
    Studies,
}

impl List {
    pub(super) fn go(&self) -> Result<Status> {
        let pairs = |list: &[(&str, &str)]| {
            list.iter().map(|(n, a)| (n.to_string(), a.to_string())).collect::<Vec<_>>()
        };
        if self.json && matches!(self.what, What::Solvers) {
            print_json(&solvers_json());
            return Ok(Status::Fine);
        }
        let list = match self.what {
            What::Solvers => registry::all().iter().map(solver_line).collect(),
            What::Schedules => pairs(Schedule::LIST),
            What::Grids => pairs(Grid::LIST),
            What::Data => pairs(data::LIST),
            What::Metrics => pairs(metric::LIST),
            What::Studies => studies(),
        };
        if self.json {
            let items: Vec<_> =
                list.iter().map(|(n, a)| serde_json::json!({ "name": n, "about": a })).collect();
            print_json(&items);
        } else {
            let width = list.iter().map(|(n, _)| n.len()).max().unwrap_or(0);
            print(&list.iter().map(|(n, a)| format!("{n:width$}  {a}\n")).collect::<String>());
        }
        Ok(Status::Fine)
    }
}

/// Studies, with what they measure.
fn studies() -> Vec<(String, String)> {
    let about = |quantities: &[Quantity]| match quantities {
        [] => "what its file holds: quantity,case,x,value".to_string(),
        all => all.iter().map(|q| q.name).collect::<Vec<_>>().join("; "),
    };
    Kind::LIST.iter().map(|(name, quantities)| (name.to_string(), about(quantities))).collect()
}

fn solver_line(entry: &registry::Entry) -> (String, String) {
    let defaults = entry.defaults();
    let parameters: Vec<String> =
        defaults.iter().map(|(k, v)| format!("{k} = {}", registry::label_of(v))).collect();
    let parameters =
        if parameters.is_empty() { String::new() } else { format!(" [{}]", parameters.join(", ")) };
    (entry.name.into(), format!("{}{parameters} ({})", entry.about, entry.source))
}

fn solvers_json() -> serde_json::Value {
    let item = |entry: &registry::Entry| {
        // (A method that is nothing before a user gives its numbers says nothing of itself.)
        let solver = entry.build(toml::Table::new()).ok();
        let claim = solver.as_ref().map(|solver| match solver.claim() {
            Claim::Order(p) => serde_json::json!({ "order": p }),
            Claim::Exact => serde_json::json!("exact"),
            Claim::Floor => serde_json::json!("floor"),
        });
        let variants: Vec<String> = entry.variants().iter().map(|v| v.label()).collect();
        serde_json::json!({
            "name": entry.name,
            "about": entry.about,
            "source": entry.source,
            "defaults": entry.defaults(),
            "claim": claim,
            "equation": solver.as_ref().and_then(|s| s.equation()),
            "strong": solver.as_ref().and_then(|s| s.strong()),
            "sold_as": solver.as_ref().and_then(|s| s.sold_as()),
            "variants": variants,
        })
    };
    registry::all().iter().map(item).collect()
}
