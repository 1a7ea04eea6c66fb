//! Numbers that another program measured: a CSV file of `quantity,case,x,value`, beside the script that made it.

use serde::Deserialize;

use super::{Findings, Measured, Quantity, Study};
use crate::error::{BadInput, Result};

/// Numbers in a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredElsewhere {
    /// The file's path, beside the experiment.
    #[serde(rename = "file")]
    _file: String,
    /// The file's content, which the reader of experiments puts here.
    rows: String,
}

#[derive(Deserialize)]
struct Line {
    quantity: String,
    case: String,
    x: Option<f64>,
    value: f64,
}

impl MeasuredElsewhere {
    fn read(&self) -> std::result::Result<Vec<Measured>, csv::Error> {
        let lines = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .from_reader(self.rows.as_bytes())
            .into_deserialize();
        let measured =
            |l: Line| Measured { quantity: l.quantity, case: l.case, x: l.x, value: l.value, stderr: None };
        lines.map(|line: std::result::Result<Line, _>| line.map(measured)).collect()
    }
}

impl Study for MeasuredElsewhere {
    /// Only the file knows.
    const QUANTITIES: &'static [Quantity] = &[];

    fn check(&self) -> Result<()> {
        let fix = "write lines of quantity,case,x,value under a header";
        match self.read() {
            Ok(rows) if rows.is_empty() => Err(BadInput::about("file", "holds no number", fix)),
            Ok(_) => Ok(()),
            Err(e) => Err(BadInput::about("file", format!("is no table of numbers: {e}"), fix)),
        }
    }

    fn make_quick(&mut self) {}

    fn parts(&self) -> Vec<String> {
        vec!["file".into()]
    }

    fn measure(&self, _part: &str) -> Findings {
        Findings { rows: self.read().unwrap_or_default(), tiles: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &str) -> MeasuredElsewhere {
        MeasuredElsewhere { _file: "x.csv".into(), rows: rows.into() }
    }

    #[test]
    fn rows_of_a_file_are_those_of_the_study() {
        let study = of("# made by x.py\nquantity,case,x,value\nw2,\"a, b\",20,1e-3\nw2,c,,inf\n");
        assert!(study.check().is_ok());
        let rows = study.measure("file").rows;
        assert_eq!((rows[0].case.as_str(), rows[0].x, rows[0].value), ("a, b", Some(20.0), 1e-3));
        assert_eq!((rows[1].x, rows[1].value), (None, f64::INFINITY));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for bad in ["", "quantity,case,x,value\n", "quantity,case,x,value\nw2,a,1,much\n", "a,b\n1,2\n"] {
            assert!(of(bad).check().is_err(), "{bad:?}");
        }
    }
}
