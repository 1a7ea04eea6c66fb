//! What is known of exponential one-step methods.

mod common;

use common::solver;

#[test]
fn print_proofs() {
    for v in common::variants().into_iter().filter(|s| s.name().starts_with("exponential-runge")) {
        let start = std::time::Instant::now();
        let proofs = v.proofs();
        let took = start.elapsed();
        println!("{} {:?}", v.label(), took);
        for p in proofs { println!("   {} claimed {} found {}: {}", p.what, p.claimed, p.found, p.how); }
    }
    let _ = solver("ddim");
}
