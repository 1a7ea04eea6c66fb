//! Which tables there are, and what tells their rows apart.

/// The tables that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `exact.csv`
    Exact,
    /// `sampled.csv`
    Sampled,
    /// `orders.csv`
    Orders,
    /// `calls.csv`
    Calls,
    /// `ranks.csv`
    Ranks,
    /// `measured.csv`
    Measured,
    /// `timing.csv`
    Timing,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Kind] =
        &[Kind::Exact, Kind::Sampled, Kind::Orders, Kind::Calls, Kind::Ranks, Kind::Measured, Kind::Timing];

    /// The name that such a table has in a result folder.
    pub fn file(self) -> &'static str {
        match self {
            Kind::Exact => "exact.csv",
            Kind::Sampled => "sampled.csv",
            Kind::Orders => "orders.csv",
            Kind::Calls => "calls.csv",
            Kind::Ranks => "ranks.csv",
            Kind::Measured => "measured.csv",
            Kind::Timing => "timing.csv",
        }
    }

    /// The same without its ending.
    pub fn name(self) -> &'static str {
        self.file().trim_end_matches(".csv")
    }

    /// The columns that say which row is which.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Kind::Exact => &["experiment", "data", "schedule", "grid", "init", "solver", "steps", "mode"],
            Kind::Sampled => {
                &["experiment", "data", "schedule", "grid", "init", "solver", "steps", "metric", "mode"]
            }
            Kind::Orders => &["experiment", "data", "schedule", "grid", "init", "solver", "metric", "mode"],
            Kind::Calls => &["experiment", "data", "schedule", "grid", "init", "solver", "target"],
            Kind::Ranks => {
                &["experiment", "data", "by", "schedule", "grid", "init", "mode", "metric", "unit", "budget"]
            }
            Kind::Measured => &["experiment", "quantity", "case", "x"],
            Kind::Timing => &["experiment", "solver", "steps", "key"],
        }
    }

    /// The table that a header is of.
    pub(super) fn of(header: &[String]) -> Option<Self> {
        let has = |name: &str| header.iter().any(|h| h == name);
        let error = || crate::record::NUMBERS.iter().any(|name| has(name));
        match () {
            () if has("quantity") && has("value") => Some(Kind::Measured),
            () if has("verdict") => Some(Kind::Orders),
            () if has("target") && has("calls") => Some(Kind::Calls),
            () if has("by") && has("budget") => Some(Kind::Ranks),
            () if has("seconds") => Some(Kind::Timing),
            () if has("metric") && has("value") => Some(Kind::Sampled),
            () if has("solver") && has("steps") && !has("metric") && error() => Some(Kind::Exact),
            () => None,
        }
    }

    /// Whether a run that has nothing to say writes a file without even a header.
    pub(super) fn may_be_blank(self) -> bool {
        matches!(self, Kind::Orders | Kind::Calls | Kind::Ranks)
    }

    /// Whether rows may be of random numbers.
    pub(super) fn sampled(self) -> bool {
        matches!(self, Kind::Sampled | Kind::Orders | Kind::Ranks)
    }
}
