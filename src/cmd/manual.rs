//! `scorebench completions` and `scorebench man`: made from the grammar of the command line itself.

use std::path::PathBuf;

use clap_complete::Shell;

use super::{Status, command, print, program, say};
use crate::error::{BadInput, Result};

/// Prints completions: `scorebench completions bash > ~/.local/share/bash-completion/completions/scorebench`
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn go(&self) -> Result<Status> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut command(), program(), &mut text);
        print(&String::from_utf8_lossy(&text));
        Ok(Status::Fine)
    }
}

/// Prints the manual page (`scorebench man | man -l -`), or writes it and one for every verb
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Folder to write pages to
    folder: Option<PathBuf>,
}

impl Man {
    pub(super) fn go(&self) -> Result<Status> {
        let Some(folder) = &self.folder else {
            let mut text = Vec::new();
            clap_mangen::Man::new(command()).render(&mut text).expect("writing to memory does not fail");
            print(&String::from_utf8_lossy(&text));
            return Ok(Status::Fine);
        };
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command(), folder))
            .map_err(|e| BadInput::about("", format!("cannot be written: {e}"), "").file(folder))?;
        say(&format!("pages of every verb in {}", folder.display()));
        Ok(Status::Fine)
    }
}
