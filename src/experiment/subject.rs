//! What an experiment samples.

use std::sync::{Arc, OnceLock};

use crate::data::Data;
use crate::data::classifier::Classifier;
use crate::data::images::Images;
use crate::error::{BadInput, Result};
use crate::monte_carlo::Engine;
use crate::picture::View;
use crate::schedule::Level;

/// What is sampled: a data law as its exact score knows it, or as a network does that was trained on it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Name and distinguishing parameters.
    pub label: String,
    /// The data law.
    pub value: Data,
    /// The images that the data are, where they are.
    pub images: Option<Arc<Pictures>>,
    /// Whether the law only stands for one that nobody gave: there is nothing to measure samples against.
    pub lawless: bool,
    /// The model that stands for the exact score, where one does.
    pub engine: Option<Arc<dyn Engine>>,
}

/// Images, and what tells their classes apart.
#[derive(Debug)]
pub struct Pictures {
    /// The images.
    pub images: Images,
    classifier: OnceLock<Option<Classifier>>,
}

impl Pictures {
    /// Of these images.
    pub fn new(images: Images) -> Self {
        Pictures { images, classifier: OnceLock::new() }
    }

    /// A classifier trained on them, at the first call; none where they are not of several classes.
    pub fn classifier(&self) -> Option<&Classifier> {
        let train = || {
            let labels = self.images.labels()?;
            let several = labels.iter().any(|label| *label != labels[0]);
            several.then(|| Classifier::train(&self.images.points(), labels, 1))
        };
        self.classifier.get_or_init(train).as_ref()
    }
}

impl Subject {
    /// All that numbers about it follow from, for content keys.
    pub fn bytes(&self) -> Vec<u8> {
        let engine = self.engine.as_ref().map_or_else(Vec::new, |engine| engine.bytes());
        [self.value.bytes(), engine].concat()
    }

    /// A network knows the noise that it was trained on.
    pub(super) fn check_range(&self, levels: &[Level]) -> Result<()> {
        let Some(engine) = &self.engine else { return Ok(()) };
        let ((low, high), [first, last]) = (engine.range(), [&levels[0], &levels[levels.len() - 1]]);
        let slack = 1.0 + 1e-6;
        let ends =
            [(first.kappa(), first.kappa() > high * slack), (last.kappa(), last.kappa() < low / slack)];
        // Without noise nothing is asked of a model.
        match ends.into_iter().find(|(kappa, outside)| *outside && *kappa != 0.0) {
            Some((kappa, _)) => {
                let why =
                    format!("reaches sigma/alpha = {kappa:.4e}, which {} was not trained on", self.label);
                let fix = format!("stay between {low:.4e} and {high:.4e}");
                Err(BadInput::about("", why, fix))
            }
            None => Ok(()),
        }
    }

    /// How samples are images, where they are.
    pub(crate) fn view(&self) -> Option<View> {
        match (&self.engine, &self.images) {
            (Some(engine), _) => engine.view(),
            (None, Some(pictures)) => Some(View { shape: pictures.images.shape(), range: (-1.0, 1.0) }),
            (None, None) => None,
        }
    }
}
