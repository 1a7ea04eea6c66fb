//! Image sets in parquet, as written by pyarrow in the hub's layout.
#![cfg(feature = "parquet")]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use scorebench::data::images::{Class, Form, Images, Select, Shape, Split};

fn fixture(name: &str) -> PathBuf {
    Path::new("tests/fixtures/images").join(format!("{name}.parquet"))
}

fn read(path: &Path) -> scorebench::error::Result<Images> {
    Images::parquet(path, &Form::default(), &Select::default())
}

/// Image `i` of the script, in order of channels, rows, columns.
fn picture(i: usize, channels: usize) -> Vec<f32> {
    let value = |k: usize| (10 * i + 40 * (k / 6) + 5 * (k % 6 / 3) + k % 3) as f64;
    (0..6 * channels).map(|k| (value(k) / 255.0 * 2.0 - 1.0) as f32).collect()
}

#[test]
fn rows_are_decoded_under_every_compression_with_classes_by_name() {
    for compression in ["snappy", "zstd", "gzip", "none"] {
        let set = read(&fixture(&format!("hub-{compression}"))).unwrap();
        assert_eq!((set.len(), set.shape()), (5, Shape { channels: 3, height: 2, width: 3 }));
        assert_eq!(set.labels().unwrap(), [0, 1, 2, 0, 1]);
        assert_eq!(set.classes(), ["owl", "cat", "newt"]);
        for i in 0..5 {
            assert_eq!(set.image(i), picture(i, 3), "{compression}");
        }
    }
    let select = Select { class: Some(Class::Name("cat".into())), count: Some(1), split: None };
    let cats = Images::parquet(&fixture("hub-zstd"), &Form::default(), &select).unwrap();
    assert_eq!((cats.pixels(), cats.labels().unwrap()), (&picture(1, 3)[..], &[1][..]));

    let plain = read(&fixture("plain")).unwrap();
    assert_eq!((plain.labels().unwrap(), plain.classes().len()), (&[2, 0, 1][..], 0));
    assert_eq!(plain.image(2), picture(2, 1));
    // Images of two kinds are made one.
    let grey = Form { grey: true, size: None };
    assert_eq!(Images::parquet(&fixture("mixed"), &grey, &Select::default()).unwrap().len(), 2);
}

#[test]
fn files_of_a_folder_are_taken_by_their_part() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    for (from, to) in [
        ("hub-snappy", "train-00001-of-00002.parquet"),
        ("hub-zstd", "train-00000-of-00002.parquet"),
        ("plain", "test-00000-of-00001.parquet"),
    ] {
        fs::copy(fixture(from), data.join(to)).unwrap();
    }
    let part = |split| Images::parquet(dir.path(), &Form::default(), &Select { split, ..Select::default() });
    let train = part(None).unwrap();
    assert_eq!((train.len(), train.name()), (10, "parquet(train)"));
    assert_eq!(part(Some(Split::Train)), Ok(train));
    assert_eq!(part(Some(Split::Test)).map(|set| set.len()), Ok(3));
    fs::remove_file(data.join("test-00000-of-00001.parquet")).unwrap();
    assert_eq!(part(None).map(|set| set.len()), Ok(10));
    let refused = part(Some(Split::Test)).unwrap_err().to_string();
    assert!(refused.contains("has files of train, none of test; give another split"), "{refused}");
}

#[test]
fn what_is_no_set_of_images_is_refused_by_file_and_row() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(fixture("hub-zstd")).unwrap();
    fs::write(dir.path().join("cut.parquet"), &whole[..whole.len() - 1]).unwrap();
    for (file, want) in [
        (
            fixture("text"),
            "text.parquet\" has no column image or img among text; give a file with encoded images",
        ),
        (
            fixture("mixed"),
            "mixed.parquet\" row 1 is 3 x 2 grey where the first is 3 x 2 in colour; add size",
        ),
        (fixture("absent"), "absent.parquet\" holds no image in row 0; give a file with encoded images"),
        (fixture("unlabelled"), "unlabelled.parquet\" gives row 0 no class; give another file or split"),
        (fixture("none"), "none.parquet\" cannot be read: "),
        (dir.path().join("cut.parquet"), "cut.parquet\" is no whole parquet file: "),
        (Path::new("src").into(), "\"src\" holds no parquet file; give a folder with some, or a file"),
    ] {
        let said = read(&file).expect_err(want).to_string();
        assert!(said.starts_with("path = ") && said.contains(want), "{said:?} lacks {want:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_damage_to_a_file_makes_the_reader_panic(
        cut in prop_oneof![Just(0), 0..4000usize],
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        name in prop::sample::select(vec!["hub-none", "hub-snappy", "hub-gzip", "hub-zstd", "plain"]),
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        bytes.drain(..cut.min(bytes.len() - 1));
        for (at, to) in changes {
            let n = bytes.len();
            bytes[at.index(n)] = to;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.parquet");
        fs::write(&file, bytes).unwrap();
        if let Ok(set) = read(&file) {
            prop_assert!(set.pixels().iter().all(|v| (-1.0..=1.0).contains(v)));
        }
    }
}
