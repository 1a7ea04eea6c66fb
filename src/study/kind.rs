//! The studies that there are, by name.

use serde::Deserialize;

use super::{Findings, Quantity, Study};
use crate::error::{BadInput, Result};

/// One line a study: its name in experiments, and its type.
macro_rules! studies {
    ($($(#[$gate:meta])* $name:literal => $variant:ident),* $(,)?) => {
        /// A study with its parameters, as an experiment names it.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub enum Kind {
            $($(#[$gate])* #[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $variant(super::$variant),)*
        }

        impl Kind {
            /// Names as experiments write them.
            pub const NAMES: &[&str] = &[$($(#[$gate])* $name),*];

            /// Names and what each measures (nothing where only a file knows).
            pub const LIST: &[(&str, &[Quantity])] = &[$($(#[$gate])* ($name, super::$variant::QUANTITIES)),*];

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self { $($(#[$gate])* Kind::$variant(_) => $name),* }
            }

            /// What it measures; empty where only its file knows.
            pub fn quantities(&self) -> &'static [Quantity] {
                match self { $($(#[$gate])* Kind::$variant(_) => super::$variant::QUANTITIES),* }
            }

            /// See [`Study::check`].
            ///
            /// # Errors
            /// Names the key, the value and the fix.
            pub fn check(&self) -> Result<()> {
                match self { $($(#[$gate])* Kind::$variant(s) => s.check()),* }
            }

            /// See [`Study::make_quick`].
            pub fn make_quick(&mut self) {
                match self { $($(#[$gate])* Kind::$variant(s) => s.make_quick()),* }
            }

            /// See [`Study::parts`].
            pub fn parts(&self) -> Vec<String> {
                match self { $($(#[$gate])* Kind::$variant(s) => s.parts()),* }
            }

            /// See [`Study::measure`].
            pub fn measure(&self, part: &str) -> Findings {
                match self { $($(#[$gate])* Kind::$variant(s) => s.measure(part)),* }
            }
        }
    };
}

studies! {
    "heat-equation" => HeatEquation,
    "inverse-heat" => InverseHeat,
    "inversion" => Inversion,
    "measured-elsewhere" => MeasuredElsewhere,
    "one-step" => OneStep,
    "reverse-transition" => ReverseTransition,
    "score-geometry" => ScoreGeometry,
    #[cfg(feature = "candle")]
    "trained-score" => TrainedScore,
}

/// Studies of networks, which are not in every program.
const OF_NETWORKS: &[&str] = &["trained-score"];

impl Kind {
    /// Refuses the name of a study that this program was built without.
    ///
    /// # Errors
    /// Says how to build it.
    pub(crate) fn check_built(name: &str) -> Result<()> {
        if OF_NETWORKS.contains(&name) && !Kind::NAMES.contains(&name) {
            let fix = "build it with `--features candle`";
            return Err(
                BadInput::new("name", name, "needs a program that was built with networks", fix).unfilled()
            );
        }
        Ok(())
    }
}
