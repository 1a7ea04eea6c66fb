//! `scorebench new-solver`: a crate with a solver in it, made from `examples/my-solver`.

use std::path::{Path, PathBuf};

use super::{Status, say};
use crate::error::{BadInput, Result};
use crate::record::write_atomically;
use crate::solver::registry;

/// Makes a folder with a crate that depends on scorebench and holds a solver; needs no network
#[derive(Debug, clap::Args)]
pub(super) struct NewSolver {
    /// Name of the solver and of its crate, such as fast-heun
    name: String,
    /// Folder to make [default: the name]
    #[arg(long)]
    path: Option<PathBuf>,
    /// Folder of scorebench's source that the crate depends on [default: the one this program was built from]
    #[arg(long, value_name = "FOLDER")]
    scorebench: Option<PathBuf>,
}

/// The example as it is, under the names that its files have in a crate.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../examples/my-solver/Cargo.toml")),
    ("src/main.rs", include_str!("../../examples/my-solver/src/main.rs")),
    ("experiments/order.toml", include_str!("../../examples/my-solver/experiments/order.toml")),
    ("experiments/mixture.toml", include_str!("../../examples/my-solver/experiments/mixture.toml")),
    ("README.md", include_str!("../../examples/my-solver/README.md")),
    (".gitignore", include_str!("../../examples/my-solver/.gitignore")),
    (".github/workflows/gate.yml", include_str!("../../examples/my-solver/.github/workflows/gate.yml")),
];

impl NewSolver {
    pub(super) fn go(&self) -> Result<Status> {
        self.check_name()?;
        let folder = self.path.clone().unwrap_or_else(|| self.name.clone().into());
        if folder.exists() {
            let fix = "choose another name, or another --path";
            return Err(BadInput::about("", "is there already", fix).file(&folder));
        }
        let dependency = self.dependency()?;
        let named = |text: &str| {
            text.replace("scorebench = { path = \"../..\" }", &dependency)
                .replace("my-solver", &self.name)
                .replace("MySolver", &camel_case(&self.name))
        };
        for (name, text) in FILES {
            put(&folder.join(name), &named(text))?;
        }
        say(&format!(
            "{}: the solver is in src/main.rs; try\n  cd {} && cargo run --release -- certify {}",
            folder.display(),
            folder.display(),
            self.name
        ));
        Ok(Status::Fine)
    }

    /// It names a solver, a crate and a type.
    fn check_name(&self) -> Result<()> {
        let name = &self.name;
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fine = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(letter)
            && !name.ends_with('-')
            && !name.contains("--");
        if !fine {
            let fix = "use lower-case letters, digits and dashes, as in fast-heun";
            return Err(BadInput::new("NAME", name, "names no crate", fix));
        }
        let taken =
            registry::all().iter().any(|e| e.name == name) || ["scorebench", "serde"].contains(&&**name);
        if taken {
            return Err(BadInput::new("NAME", name, "is taken", "choose another"));
        }
        Ok(())
    }

    /// The line of Cargo.toml that names this library.
    fn dependency(&self) -> Result<String> {
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = match &self.scorebench {
            Some(folder) => folder,
            None if built_from.join("Cargo.toml").exists() => built_from,
            None => {
                let why = "is needed: the source this program was built from is gone";
                return Err(BadInput::about("--scorebench", why, "give its folder"));
            }
        };
        let full = source.canonicalize().ok().filter(|folder| {
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
            manifest.lines().any(|line| line == "name = \"scorebench\"")
        });
        let Some(full) = full else {
            let why = "is not the source of scorebench";
            return Err(BadInput::new("--scorebench", source, why, "give the folder with its Cargo.toml"));
        };
        Ok(format!("scorebench = {{ path = {} }}", toml::Value::String(full.to_string_lossy().into_owned())))
    }
}

fn put(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| write_atomically(path, text.as_bytes()))
        .map_err(|e| BadInput::about("", format!("cannot be written: {e}"), "").file(path))
}

/// `fast-heun` as a type: `FastHeun`.
fn camel_case(name: &str) -> String {
    let word = |w: &str| w[..1].to_uppercase() + &w[1..];
    name.split('-').map(word).collect()
}
