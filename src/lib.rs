//! A research bench for the numerical solution of diffusion models' SDEs and ODEs.
#![deny(missing_docs)]
pub mod affine;
pub mod batch;
pub mod config;
pub mod data;
pub mod error;
pub mod grid;
pub mod law;
pub mod metric;
pub mod noise;
pub mod parallel;
pub mod record;
pub mod run;
pub mod schedule;
pub mod solver;
pub mod state;
