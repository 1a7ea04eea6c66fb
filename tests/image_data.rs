//! Image sets from TOML: one table for the finite data set, for the Gaussian matched to it and for the network.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};
use scorebench::data::images::{Class, Form, Images, Select};
use scorebench::data::{Data, Gaussian, Mixture};
use scorebench::experiment::{Experiment, read_images};

fn images(text: &str, folder: &Path) -> Result<Images, String> {
    let table: toml::Table = format!("data = {text}").parse().expect("test input is TOML");
    read_images(table["data"].clone(), folder).map_err(|e| e.to_string())
}

/// The law of an experiment, and its label.
fn law(text: &str, folder: &Path) -> Result<(Data, String), String> {
    let text = format!(
        "question = '?'\ndata = {text}\nschedule = {{ name = 'vp-linear' }}\n\
         mode = {{ monte-carlo = {{ samples = 100 }} }}\n\
         grid = {{ name = 'uniform-t', start = 1.0, end = 1e-3, steps = 4 }}\nsolver = [{{ name = 'ddim' }}]"
    );
    let experiment = Experiment::parse("demo", &text, folder).map_err(|e| e.to_string())?;
    let cell = experiment.cells().remove(0);
    Ok((cell.data.value.clone(), cell.data.label.clone()))
}

/// A folder `pictures` of two classes, the files of an MNIST, and one record of each CIFAR.
fn sets() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    for (class, count) in [("cat", 3u8), ("owl", 2)] {
        let inner = dir.path().join("pictures").join(class);
        fs::create_dir_all(&inner).unwrap();
        for k in 0..count {
            GrayImage::from_fn(3, 2, |x, y| Luma([(40 * x + 90 * y) as u8 + 7 * k + count]))
                .save(inner.join(format!("{k}.png")))
                .unwrap();
        }
    }
    write(
        "train-images-idx3-ubyte",
        &[[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], [0, 9, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
            .concat()[..20],
    );
    write("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2, 4, 1]);
    write("test_batch.bin", &[5; 3073]);
    write("train.bin", &[5; 3074]);
    dir
}

#[test]
fn a_network_sees_the_images_of_which_the_law_is_made() {
    let dir = sets();
    for (text, label, count) in [
        ("'digits'", "digits", 1797),
        ("{ name = 'digits', class = '3', count = 5 }", "digits(class=3, count=5)", 5),
        ("{ name = 'images', path = 'pictures' }", "images(path=pictures)", 5),
        (
            "{ name = 'images', path = 'pictures', class = 'owl', size = 4, grey = true }",
            "images(class=owl, grey=true, path=pictures, size=4)",
            2,
        ),
        ("{ name = 'images', path = 'pictures', size = [4, 5], label = 'mine' }", "mine", 5),
        ("{ name = 'mnist', path = '.' }", "", 2),
        ("{ name = 'cifar10', path = '.', split = 'test' }", "", 1),
        ("{ name = 'cifar100', path = '.' }", "", 1),
    ] {
        let set = images(text, dir.path()).expect(text);
        assert_eq!(set.len(), count, "{text}");
        let (data, name) = law(text, dir.path()).expect(text);
        assert_eq!(data, Data::Mixture(Mixture::points(set.points()).unwrap()), "{text}");
        assert!(label.is_empty() || name == label, "{name} for {label}");
    }
    let owls = Select { class: Some(Class::Name("owl".into())), ..Select::default() };
    let form = Form { size: Some([4, 4]), grey: true };
    let want = Images::folder(&dir.path().join("pictures"), &form, &owls);
    assert_eq!(
        images("{ name = 'images', path = 'pictures', class = 1, size = 4, grey = true }", dir.path()),
        want.map_err(|e| e.to_string())
    );
}

#[test]
fn the_gaussian_of_a_set_is_that_of_its_mixture_bit_for_bit() {
    let dir = sets();
    for text in ["{ name = 'digits', count = 1500 }", "{ name = 'images', path = 'pictures' }", "'digits'"] {
        let of = law(text, dir.path()).unwrap();
        let (data, label) = law(&format!("{{ name = 'gaussian', of = {text} }}"), dir.path()).unwrap();
        assert_eq!(data, Data::Gaussian(Gaussian::matching(&of.0).unwrap()), "{text}");
        assert_eq!(label, format!("gaussian(of {})", of.1));
    }
    // A kernel adds its variance in every direction.
    let wide = law("{ name = 'gaussian', of = { name = 'digits', std = 0.5 } }", dir.path()).unwrap().0;
    let points = law("{ name = 'gaussian', of = 'digits' }", dir.path()).unwrap().0;
    let total = |data: &Data| data.gaussian().expect("one").variance().iter().sum::<f64>();
    assert!((total(&wide) - total(&points) - 64.0 * 0.25).abs() < 1e-10);
}

#[test]
fn what_is_no_image_set_is_refused_where_a_network_asks() {
    let dir = sets();
    for (text, want) in [
        (
            "'ring'",
            "name = \"ring\" is no image set; give one of digits, cifar10, cifar100, mnist, images, parquet",
        ),
        ("'digit'", "name = \"digit\" is not known; did you mean \"digits\"?"),
        ("{ name = 'digits', std = 0.1 }", "std = 0.1 makes a law, where images are asked for; remove it"),
        ("{ name = 'digits', path = 'x' }", "path = \"x\" is not a known key; known: class, count, std"),
        ("{ name = 'mnist' }", "path is missing; add path = \"FOLDER\""),
        ("3", "3 is not a table; write { name = "),
    ] {
        let said = images(text, dir.path()).expect_err(text);
        assert!(said.contains(want), "{said:?} lacks {want:?}");
    }
}

#[test]
fn a_set_too_large_for_a_mixture_says_how_much_fits() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("test_batch.bin"), vec![7; 3073 * 16_200]).unwrap();
    let refused = law("{ name = 'cifar10', path = '.', split = 'test' }", dir.path()).expect_err("too large");
    let want = "data.count is missing or too large: 16200 points of 3072 numbers are too many to hold; give count = 16191 or less";
    assert!(refused.contains(want), "{refused}");
}
