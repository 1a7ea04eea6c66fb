use super::*;

fn read(text: &str) -> Result<Named<Data>> {
    let table: Table = format!("data = {text}").parse().expect("test input is TOML");
    read_data(table["data"].clone(), Path::new("."), None)
}

#[test]
fn labels_are_names_and_what_tells_laws_of_one_name_apart() {
    for (text, label) in [
        ("'ring'", "ring"),
        ("{ name = 'ring', std = [0.1, 0.3], modes = 6 }", "ring(modes=6, std=[0.1, 0.3])"),
        ("{ name = 'ring', std = 0.3, label = 'mine' }", "mine"),
        ("{ name = 'grid', side = 3 }", "grid(side=3)"),
        ("'four-modes'", "four-modes"),
        ("{ name = 'funnel', dim = 10 }", "funnel(dim=10)"),
        ("'two-mode'", "two-mode"),
        ("{ name = 'random-mixture', modes = 3, seed = 2 }", "random-mixture(modes=3, seed=2)"),
        ("{ name = 'mixture', means = [[0.0, 1.0]], std = 1.0 }", "mixture(modes=1, dim=2)"),
        ("{ name = 'product', of = 'two-mode', copies = 5 }", "product(of two-mode, copies=5)"),
        ("{ name = 'product', of = ['two-mode', 'two-mode'] }", "product(dim=2)"),
        ("{ name = 'points', points = [[0.0], [1.0], [2.0]] }", "points(n=3, dim=1)"),
        (
            "{ name = 'points', csv = 'tests/fixtures/points.csv', std = 0.1 }",
            "points(points, n=2, dim=3, std=0.1)",
        ),
        ("{ name = 'digits', class = 3, count = 10 }", "digits(class=3, count=10)"),
        ("{ name = 'gaussian', of = { name = 'digits', count = 9 } }", "gaussian(of digits(count=9))"),
        ("{ name = 'gaussian', of = { name = 'ring', label = 'mine' } }", "gaussian(of mine)"),
        ("{ name = 'gaussian', variance = [1.0] }", "gaussian(modes=1)"),
        ("{ name = 'gaussian', covariance = [[1.0]] }", "gaussian(covariance 1x1)"),
    ] {
        assert_eq!(read(text).map(|d| d.label).map_err(|e| e.to_string()), Ok(label.into()), "{text}");
    }
}

#[test]
fn every_listed_law_can_be_read_and_no_other() {
    for (name, _) in data::LIST {
        let rest = match *name {
            "gaussian" => "variance = [1.0]",
            "power-law" => "modes = 2, p = 1.0",
            "mixture" => "means = [[0.0]], std = 1.0",
            "product" => "of = 'two-mode'",
            "points" => "points = [[0.0]]",
            // Read, or missed, in tests/images.rs.
            "cifar10" | "cifar100" | "mnist" | "images" | "parquet" => continue,
            _ => "label = 'x'",
        };
        assert!(read(&format!("{{ name = '{name}', {rest} }}")).is_ok(), "{name}");
    }
    assert!(read("'rings'").is_err());
}

#[test]
fn components_are_written_with_one_kind_of_spread() {
    let means = "name = 'mixture', means = [[0.0, 1.0], [2.0, 3.0]]";
    let mixture = |rest: &str| match read(&format!("{{ {means}, {rest} }}")).map(|d| d.value) {
        Ok(Data::Mixture(mixture)) => mixture,
        other => panic!("{rest}: {other:?}"),
    };
    let same = mixture("std = 0.5");
    assert_eq!(same, mixture("weights = [2, 2.0], std = [0.5, 0.5]"));
    assert_eq!(same.components()[1].mean, [2.0, 3.0]);
    let diagonal = mixture("weights = [1, 3], variances = [[1.0, 4.0], [0.0, 1.0]]");
    assert_eq!(diagonal.components()[1].weight, 0.75);
    assert_eq!(diagonal.components()[0].covariance.matrix(2).as_slice(), [1.0, 0.0, 0.0, 4.0]);
    let full = mixture("covariances = [[[2.0, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]]]");
    let matrix = full.components()[0].covariance.matrix(2);
    assert!((matrix[(0, 1)] - 1.0).abs() < 1e-15 && (matrix[(0, 0)] - 2.0).abs() < 1e-15);
}

#[test]
fn factors_of_a_product_are_its_coordinates() {
    let product = |text: &str| match read(text).map(|d| d.value) {
        Ok(Data::Product(product)) => product,
        other => panic!("{text}: {other:?}"),
    };
    let line = |mean: f64| format!("{{ name = 'mixture', means = [[{mean:?}]], std = 1.0 }}");
    let two = product(&format!("{{ name = 'product', of = [{}, {}] }}", line(1.0), line(2.0)));
    let means: Vec<f64> = two.factors().iter().map(|factor| factor.mean()[0]).collect();
    assert_eq!(means, [1.0, 2.0]);
    let same = product(&format!("{{ name = 'product', of = {}, copies = 2 }}", line(1.0)));
    assert_eq!(same, product(&format!("{{ name = 'product', of = [{0}, {0}] }}", line(1.0))));
}
