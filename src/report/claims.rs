//! All claims of all results, with their numbers.

use super::read::Section;
use crate::results::Claim;

/// A claim, and what came out of it.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    pub claim: &'a Claim,
    /// Whose claim it is: the folder.
    pub experiment: &'a str,
    /// The finding with its numbers; a number that no table has is said to be missing.
    pub finding: String,
}

/// In the order of their ids.
pub(super) fn all(sections: &[Section]) -> Vec<Found<'_>> {
    let tables = |name: &str| sections.iter().find(|s| s.name == name).map(|s| &s.numbers);
    let mut all: Vec<Found> = Vec::new();
    for section in sections {
        for claim in section.summary.iter().flat_map(|s| &s.claims) {
            let found = claim.found(|other| other.map_or(Some(&section.numbers), tables));
            let finding = found.unwrap_or_else(|why| format!("[no number: {why}]"));
            all.push(Found { claim, experiment: &section.name, finding });
        }
    }
    all.sort_by_key(|f| f.claim.rank());
    all
}

/// Names and titles of the groups that claims are shown in.
pub(super) const GROUPS: [(&str, &str); 3] =
    [("claims", "Claims"), ("errata", "Errata"), ("audit", "As shipped")];

/// What the letters before the number of an id mean: one of [`GROUPS`].
pub(super) fn group(claim: &Claim) -> (&'static str, &'static str) {
    match claim.id.chars().next() {
        Some('E') => GROUPS[1],
        Some('A') => GROUPS[2],
        _ => GROUPS[0],
    }
}
