//! Solvers by name: what an experiment's `name = "..."` means, and the type-erased form that makes it possible.

use std::sync::{Arc, OnceLock, RwLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::{Table, Value};

use super::outside::{Claims, Outside, Plain};
use super::*;
use crate::any::Any;
use crate::config;
use crate::error::BadInput;

/// One registered solver type.
#[derive(Clone)]
pub struct Entry {
    /// The name in experiments.
    pub name: &'static str,
    /// One line on what it is.
    pub about: &'static str,
    /// Paper with equation or algorithm number.
    pub source: &'static str,
    read: Arc<dyn Fn(Table) -> Result<Handle> + Send + Sync>,
    variants: Arc<dyn Fn() -> Vec<Handle> + Send + Sync>,
}

impl Entry {
    /// The entry of a solver type.
    pub fn of<S: Solver>() -> Self {
        Entry {
            name: S::NAME,
            about: S::ABOUT,
            source: S::SOURCE,
            read: Arc::new(|parameters| Ok(Handle::new(read::<S>(parameters)?))),
            variants: Arc::new(|| S::catalogue().into_iter().map(Handle::new).collect()),
        }
    }

    /// The entry of a bare [`Sample`] under a name, with what is claimed for it.
    pub fn named<S: Plain>(name: &'static str, claims: Claims) -> Self {
        let (about, source) = (claims.about, claims.source);
        let outside = move |solver: S| Handle {
            solver: Arc::new(Outside { name, claims: claims.clone(), solver }),
            label: None,
        };
        let default = outside.clone();
        Entry {
            name,
            about,
            source,
            read: Arc::new(move |parameters| Ok(outside(read(parameters)?))),
            variants: Arc::new(move || vec![default(S::default())]),
        }
    }

    /// The solver with these parameters (the rest at their defaults).
    ///
    /// # Errors
    /// A key, type or value that the solver does not take.
    pub fn build(&self, mut parameters: Table) -> Result<Handle> {
        let label =
            parameters.remove("label").map(config::read).transpose().map_err(|e| e.within("label"))?;
        let solver = self.unchecked(parameters)?;
        solver.check()?;
        Ok(Handle { label, ..solver })
    }

    /// The same for numbers that need not be those of any method: to say what is wrong with them.
    ///
    /// # Errors
    /// A key or type that the solver does not take.
    pub fn unchecked(&self, parameters: Table) -> Result<Handle> {
        (self.read)(parameters)
    }

    /// The variants that are held to their claims: [`Solver::catalogue`]. None for a method that is nothing before a user
    /// gives its numbers.
    pub fn variants(&self) -> Vec<Handle> {
        (self.variants)()
    }

    /// Parameters with their default values; optional ones without a default are absent.
    pub fn defaults(&self) -> Table {
        self.unchecked(Table::new()).expect("there is a default").parameters()
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

fn read<S: Default + serde::de::DeserializeOwned>(parameters: Table) -> Result<S> {
    // (A unit struct has no parameters, and no table of them.)
    if parameters.is_empty() {
        return Ok(S::default());
    }
    for (key, value) in &parameters {
        if let Value::Float(x) = value
            && x.is_nan()
        {
            return Err(BadInput::new(key, x, "is not a number", "give a finite value"));
        }
    }
    config::read(Value::Table(parameters))
}

fn entries() -> &'static RwLock<Vec<Entry>> {
    static ENTRIES: OnceLock<RwLock<Vec<Entry>>> = OnceLock::new();
    ENTRIES.get_or_init(|| RwLock::new(standard()))
}

/// Every registered solver, in the order of registration.
pub fn all() -> Vec<Entry> {
    entries().read().expect("no panic while registering").clone()
}

/// Adds a solver of your own: every verb, table and plot then knows it by [`Solver::NAME`].
///
/// # Errors
/// The name is taken.
pub fn register<S: Solver>() -> Result<()> {
    add(Entry::of::<S>())
}

/// Adds an entry: see [`register`].
///
/// # Errors
/// The name is taken, or is none.
pub fn add(entry: Entry) -> Result<()> {
    let mut entries = entries().write().expect("no panic while registering");
    let name = entry.name;
    if entries.iter().any(|e| e.name == name) {
        return Err(BadInput::new("name", name, "is taken by another solver", "choose another name"));
    }
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(letter) {
        let fix = "use lower-case letters, digits and dashes, as in \"my-solver\"";
        return Err(BadInput::new("name", name, "is no name that tables and labels can hold", fix));
    }
    entries.push(entry);
    Ok(())
}

/// The solver that a table `{ name = "...", ... }` (or a bare name) describes. A `label` among its keys is what tables and
/// plots call it, and no matter of what it does.
///
/// # Errors
/// An unknown name or parameter, with the nearest known one.
pub fn solver(value: Value) -> Result<Handle> {
    let (entry, parameters) = named(value)?;
    entry.build(parameters)
}

/// The entry that a table names, and its parameters.
///
/// # Errors
/// An unknown name, with the nearest known one.
pub fn named(value: Value) -> Result<(Entry, Table)> {
    let all = all();
    let names: Vec<&str> = all.iter().map(|e| e.name).collect();
    let (name, parameters) = config::split_name(value, &names)?;
    let entry = all.into_iter().find(|e| e.name == name).expect("split_name checked it");
    Ok((entry, parameters))
}

/// A solver whose type has been forgotten: it runs on states of any backend, and tells what [`Solver`] tells.
///
/// Implemented for every [`Solver`].
pub trait Erased: Send + Sync {
    #[doc(hidden)]
    fn sample_on(&self, cx: &mut Ctx<Any>, grid: &[Level], x: State<Any>) -> State<Any>;
    #[doc(hidden)]
    fn plan_on(&self, cx: &mut Ctx<Any>, grid: &[Level], x: State<Any>) -> Option<Vec<Level>>;
    /// [`Solver::NAME`].
    fn name(&self) -> &'static str;
    /// All parameters, defaults included.
    fn parameters(&self) -> Table;
    /// Parameters that differ from the default.
    fn changed(&self) -> Table;
    /// [`Solver::claim`].
    fn claim(&self) -> Claim;
    /// [`Solver::equation`].
    fn equation(&self) -> Option<f64>;
    /// [`Solver::needs`].
    fn needs(&self, schedule: &Schedule) -> Needs;
    /// [`Solver::check_schedule`].
    ///
    /// # Errors
    /// The solver is not defined on the schedule.
    fn check_schedule(&self, schedule: &Schedule) -> std::result::Result<(), String>;
    /// [`Solver::check`].
    ///
    /// # Errors
    /// Parameters without a meaning.
    fn check(&self) -> Result<()>;
    /// [`Solver::fits`].
    ///
    /// # Errors
    /// The solver is not for these levels.
    fn fits(&self, schedule: &Schedule, grid: &[Level]) -> std::result::Result<(), String>;
    /// [`Solver::conditions`].
    fn conditions(&self, on: Option<(&Schedule, &[Level])>) -> Vec<Condition>;
    /// [`Solver::limit`].
    fn limit(&self, schedule: &Schedule, at: &Level, variance: &[f64]) -> Option<Vec<f64>>;
    /// [`Solver::strong`].
    fn strong(&self) -> Option<f64>;
    /// [`Solver::strong_on_gaussian_data`].
    fn strong_on_gaussian_data(&self) -> Option<f64>;
    /// [`Solver::on_gaussian_data`].
    fn on_gaussian_data(&self) -> Claim;
    /// [`Solver::on_uneven_steps`].
    fn on_uneven_steps(&self) -> Claim;
    /// [`Solver::sold_as`].
    fn sold_as(&self) -> Option<f64>;
    /// [`Solver::cycle`].
    fn cycle(&self) -> usize;
    /// [`Solver::calls`].
    fn calls(&self, steps: usize) -> usize;
    /// [`Solver::draws`].
    fn draws(&self, steps: usize) -> usize;
    /// [`Solver::draws_vary`].
    fn draws_vary(&self) -> bool;
    /// [`Solver::proofs`].
    fn proofs(&self) -> Vec<Proof>;
    /// [`Solver::adaptive`].
    fn adaptive(&self) -> bool;
    /// [`Solver::forward`].
    fn forward(&self) -> bool;
}

impl<S: Solver> Erased for S {
    fn sample_on(&self, cx: &mut Ctx<Any>, grid: &[Level], x: State<Any>) -> State<Any> {
        self.sample(cx, grid, x)
    }
    fn plan_on(&self, cx: &mut Ctx<Any>, grid: &[Level], x: State<Any>) -> Option<Vec<Level>> {
        self.plan(cx, grid, x)
    }
    fn name(&self) -> &'static str {
        S::NAME
    }
    fn parameters(&self) -> Table {
        parameters(self)
    }
    fn changed(&self) -> Table {
        changed(self)
    }
    fn claim(&self) -> Claim {
        Solver::claim(self)
    }
    fn equation(&self) -> Option<f64> {
        Solver::equation(self)
    }
    fn needs(&self, schedule: &Schedule) -> Needs {
        Solver::needs(self, schedule)
    }
    fn check_schedule(&self, schedule: &Schedule) -> std::result::Result<(), String> {
        Solver::check_schedule(self, schedule)
    }
    fn check(&self) -> Result<()> {
        Solver::check(self)
    }
    fn fits(&self, schedule: &Schedule, grid: &[Level]) -> std::result::Result<(), String> {
        Solver::fits(self, schedule, grid)
    }
    fn conditions(&self, on: Option<(&Schedule, &[Level])>) -> Vec<Condition> {
        Solver::conditions(self, on)
    }
    fn limit(&self, schedule: &Schedule, at: &Level, variance: &[f64]) -> Option<Vec<f64>> {
        Solver::limit(self, schedule, at, variance)
    }
    fn strong(&self) -> Option<f64> {
        Solver::strong(self)
    }
    fn strong_on_gaussian_data(&self) -> Option<f64> {
        Solver::strong_on_gaussian_data(self)
    }
    fn on_gaussian_data(&self) -> Claim {
        Solver::on_gaussian_data(self)
    }
    fn on_uneven_steps(&self) -> Claim {
        Solver::on_uneven_steps(self)
    }
    fn sold_as(&self) -> Option<f64> {
        Solver::sold_as(self)
    }
    fn cycle(&self) -> usize {
        Solver::cycle(self)
    }
    fn calls(&self, steps: usize) -> usize {
        Solver::calls(self, steps)
    }
    fn draws(&self, steps: usize) -> usize {
        Solver::draws(self, steps)
    }
    fn draws_vary(&self) -> bool {
        Solver::draws_vary(self)
    }
    fn proofs(&self) -> Vec<Proof> {
        Solver::proofs(self)
    }
    fn adaptive(&self) -> bool {
        Solver::adaptive(self)
    }
    fn forward(&self) -> bool {
        Solver::forward(self)
    }
}

/// The fields of a solver; a unit struct has none.
pub(super) fn parameters<S: Serialize>(solver: &S) -> Table {
    Table::try_from(solver).unwrap_or_default()
}

/// Those that differ from the default.
pub(super) fn changed<S: Serialize + Default>(solver: &S) -> Table {
    let default = parameters(&S::default());
    parameters(solver).into_iter().filter(|(key, value)| default.get(key) != Some(value)).collect()
}

/// A shared solver of any registered type; itself a [`Sample`], so that solvers can hold solvers.
///
/// ```
/// let table: toml::Table = toml::from_str(r#"name = "ddim"
/// eta = 0.5"#)?;
/// let solver = scorebench::solver::registry::solver(table.into())?;
/// assert_eq!(solver.label(), "ddim(eta=0.5)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    solver: Arc<dyn Erased>,
    label: Option<String>,
}

impl Handle {
    /// Forgets the type of a solver.
    pub fn new<S: Solver>(solver: S) -> Self {
        Handle { solver: Arc::new(solver), label: None }
    }

    /// As tables and plots show it: the label it was given, else name and non-default parameters: `ddim(eta=0.5)`.
    pub fn label(&self) -> String {
        self.label.clone().unwrap_or_else(|| label(self.solver.name(), &self.solver.changed()))
    }

    /// Refuses a schedule and grid on which the solver is not defined.
    ///
    /// # Errors
    /// Why, in words.
    pub fn check_grid(&self, schedule: &Schedule, grid: &[Level]) -> std::result::Result<(), String> {
        self.solver.check_schedule(schedule)?;
        check_levels(self.solver.needs(schedule), self.solver.forward(), grid)?;
        self.solver.fits(schedule, grid)
    }

    /// `{ name = "...", ... }` with every parameter, from which [`solver`] makes an equal one.
    pub fn table(&self) -> Table {
        let mut table = self.solver.parameters();
        table.insert("name".into(), Value::String(self.solver.name().into()));
        table.extend(self.label.iter().map(|label| ("label".to_string(), label.clone().into())));
        table
    }

    /// The same without what it is called, nor what the solvers in it are: all that its numbers follow from.
    pub fn content(&self) -> Table {
        fn bare(mut table: Table) -> Table {
            table.remove("label");
            let inner = |(key, value)| match value {
                Value::Table(inner) if inner.contains_key("name") => (key, Value::Table(bare(inner))),
                other => (key, other),
            };
            table.into_iter().map(inner).collect()
        }
        bare(self.table())
    }
}

/// The label of `{ name = "...", ... }` as it was written: `name(key=value, ...)`.
pub(crate) fn label_of(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let mut rest = table.clone();
            match rest.remove("name") {
                Some(Value::String(name)) => label(&name, &rest),
                _ => plain(value),
            }
        }
        other => plain(other),
    }
}

/// `name(key=value, ...)`.
pub(crate) fn label(name: &str, parameters: &Table) -> String {
    if parameters.is_empty() {
        return name.into();
    }
    let list: Vec<String> = parameters.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    format!("{name}({})", list.join(", "))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Float(x) if *x != 0.0 && x.is_finite() && !(1e-4..1e6).contains(&x.abs()) => format!("{x:e}"),
        Value::Float(x) => format!("{x}"),
        // A nested solver.
        Value::Table(t) => match t.get("name") {
            Some(Value::String(_)) => {
                solver(value.clone()).map_or_else(|_| format!("{value}"), |s| s.label())
            }
            _ => format!("{value}"),
        },
        other => format!("{other}"),
    }
}

impl std::ops::Deref for Handle {
    type Target = dyn Erased;
    fn deref(&self) -> &Self::Target {
        &*self.solver
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label())
    }
}

impl Sample for Handle {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        V::from_any(V::with_any(cx, x, |cx, x| self.solver.sample_on(cx, grid, x)))
    }
    fn plan<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> Option<Vec<Level>> {
        V::with_any(cx, x, |cx, x| self.solver.plan_on(cx, grid, x))
    }
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.table().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        solver(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
