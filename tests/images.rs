//! Image sets: every format read as its maker wrote it, and refused by file, fault and fix where it is damaged.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage, RgbaImage};
use proptest::prelude::*;
use scorebench::data::digits;
use scorebench::data::images::{Class, Form, Images, Select, Shape, Split};

fn all() -> Select {
    Select::default()
}

fn first(count: usize) -> Select {
    Select { count: Some(count), ..all() }
}

fn test_part() -> Select {
    Select { split: Some(Split::Test), ..all() }
}

fn of_class(name: &str) -> Select {
    Select { class: Some(Class::Name(name.into())), ..all() }
}

fn folder(dir: &Path) -> scorebench::error::Result<Images> {
    Images::folder(dir, &Form::default(), &all())
}

fn near(a: &[f32], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-7)
}

/// What an 8-bit value is.
fn value(v: u8) -> f64 {
    f64::from(v) / 127.5 - 1.0
}

/// That it is refused in these words (`...` stands for any).
fn refused<T: std::fmt::Debug>(result: scorebench::error::Result<T>, want: &str) {
    let said = result.expect_err(want).to_string();
    let mut rest = said.as_str();
    for part in want.split("...") {
        let at = rest.find(part).unwrap_or_else(|| panic!("{said:?} lacks {part:?}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn the_digits_are_points_and_pictures_alike() {
    let set = Images::digits(&all()).unwrap();
    assert_eq!(set.shape(), Shape { channels: 1, height: 8, width: 8 });
    assert_eq!((set.len(), set.labels().unwrap().len(), set.classes().len()), (1797, 1797, 10));
    assert_eq!(set.points(), digits::points(None, None).unwrap());
    for (i, digit) in digits::all().iter().enumerate() {
        let ink: Vec<f64> = set.image(i).iter().map(|v| (f64::from(*v) + 1.0) * 8.0).collect();
        assert_eq!(ink, digit.pixels.iter().map(|p| f64::from(*p)).collect::<Vec<_>>());
        assert_eq!(set.labels().unwrap()[i], u32::from(digit.class));
    }
    let sevens = Images::digits(&Select { count: Some(3), ..of_class("7") }).unwrap();
    assert_eq!((sevens.len(), sevens.labels().unwrap()), (3, &[7, 7, 7][..]));
    refused(
        Images::digits(&of_class("ten")),
        "class = \"ten\" is no class of the set; give a number from 0 to 9",
    );
    refused(Images::digits(&first(0)), "count = 0 takes no image; give a number of at least 1");
    refused(Images::digits(&first(1798)), "count = 1798 is not to be had; give a number from 1 to 1797");
    refused(
        Images::digits(&test_part()),
        "split = \"test\" is not to be had: the digits are not split; remove it",
    );
}

#[test]
fn the_hash_is_of_the_pictures_and_not_of_their_place() {
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for dir in [&one, &two] {
        GrayImage::from_raw(2, 1, vec![0, 9]).unwrap().save(dir.path().join("a.png")).unwrap();
    }
    let hash = |dir: &tempfile::TempDir| folder(dir.path()).unwrap().hash();
    assert_eq!(hash(&one), hash(&two));
    GrayImage::from_raw(1, 2, vec![0, 9]).unwrap().save(two.path().join("a.png")).unwrap();
    assert_ne!(hash(&one), hash(&two), "of another shape");
    GrayImage::from_raw(2, 1, vec![0, 8]).unwrap().save(two.path().join("a.png")).unwrap();
    assert_ne!(hash(&one), hash(&two), "of other pixels");
    let labelled = tempfile::tempdir().unwrap();
    fs::create_dir(labelled.path().join("x")).unwrap();
    fs::copy(one.path().join("a.png"), labelled.path().join("x/a.png")).unwrap();
    assert_ne!(hash(&one), hash(&labelled), "labelled");
}

#[test]
fn images_are_read_by_name_from_black_to_white_channel_after_channel() {
    let save = |folder: &Path, name: &str, pixels: &[u8]| {
        GrayImage::from_raw(2, 2, pixels.to_vec()).unwrap().save(folder.join(name)).unwrap();
    };
    let grey = tempfile::tempdir().unwrap();
    save(grey.path(), "b.png", &[0, 51, 102, 255]);
    save(grey.path(), "a.PNG", &[255, 0, 0, 0]);
    save(grey.path(), "c.jpeg", &[128; 4]);
    fs::write(grey.path().join("README.txt"), "not an image").unwrap();
    fs::write(grey.path().join("._a.png"), "of another system").unwrap();
    let set = folder(grey.path()).unwrap();
    assert_eq!((set.len(), set.labels(), set.classes().len()), (3, None, 0));
    assert_eq!(set.image(0), [1.0, -1.0, -1.0, -1.0]);
    assert_eq!(set.image(1), [-1.0, -0.6, -0.2, 1.0]);
    assert!(near(set.image(2), &[1.0 / 255.0; 4]));
    assert_eq!(
        Images::folder(grey.path(), &Form::default(), &first(2)).unwrap().pixels(),
        &set.pixels()[..8]
    );

    let deep = tempfile::tempdir().unwrap();
    let pixels = vec![0, 65535, 32768, 1];
    ImageBuffer::<Luma<u16>, _>::from_raw(2, 2, pixels).unwrap().save(deep.path().join("x.png")).unwrap();
    let one = 2.0 / 65535.0;
    assert!(near(folder(deep.path()).unwrap().image(0), &[-1.0, 1.0, 0.5 * one, one - 1.0]));

    let colour = tempfile::tempdir().unwrap();
    let pixels = RgbImage::from_fn(2, 1, |x, _| Rgb([255 * x as u8, 0, 51]));
    pixels.save(colour.path().join("x.png")).unwrap();
    let set = folder(colour.path()).unwrap();
    assert_eq!(set.shape(), Shape { channels: 3, height: 1, width: 2 });
    assert!(near(set.image(0), &[-1.0, 1.0, -1.0, -1.0, -0.6, -0.6]));
}

/// A folder with two classes and a folder without images.
fn classes() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, count, v) in [("owl", 1, 10), ("cat", 3, 20), ("empty", 0, 0)] {
        fs::create_dir(dir.path().join(name)).unwrap();
        for k in 0..count {
            let file = dir.path().join(name).join(format!("{k}.png"));
            GrayImage::from_pixel(2, 2, Luma([v + k])).save(file).unwrap();
        }
    }
    dir
}

#[test]
fn sub_folders_are_classes_and_are_read_in_turn() {
    let dir = classes();
    let set = folder(dir.path()).unwrap();
    assert_eq!(set.classes(), ["cat", "owl"]);
    assert_eq!(set.labels().unwrap(), [0, 1, 0, 0]);
    let firsts: Vec<f64> = (0..4).map(|i| f64::from(set.image(i)[0])).collect();
    assert!(
        near(&set.pixels().iter().step_by(4).copied().collect::<Vec<_>>(), &[20, 10, 21, 22].map(value)),
        "{firsts:?}"
    );
    let cats = Images::folder(dir.path(), &Form::default(), &of_class("cat")).unwrap();
    assert_eq!((cats.len(), cats.labels().unwrap()), (3, &[0, 0, 0][..]));
    let read = |select: &Select| Images::folder(dir.path(), &Form::default(), select);
    refused(
        read(&of_class("dog")),
        "class = \"dog\" is no class of the set; give a number below 2, or one of cat, owl",
    );
    refused(read(&test_part()), "split = \"test\" is not to be had: folders are not split; remove it");
    GrayImage::new(2, 2).save(dir.path().join("stray.png")).unwrap();
    refused(
        folder(dir.path()),
        "path = ... holds images, and so does its sub-folder cat; keep all of them in one place",
    );
}

#[test]
fn images_of_any_size_and_kind_are_made_one_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    // Left half black, right half white, twice as wide as high: scaled by 1/2, a quarter is cut off at both ends.
    let half = RgbImage::from_fn(16, 8, |x, _| if x < 8 { Rgb([0; 3]) } else { Rgb([255; 3]) });
    half.save(dir.path().join("a.png")).unwrap();
    GrayImage::from_pixel(3, 5, Luma([51])).save(dir.path().join("b.png")).unwrap();
    RgbImage::from_pixel(4, 4, Rgb([255, 0, 0])).save(dir.path().join("c.png")).unwrap();
    let form = Form { size: Some([4, 4]), grey: true };
    let set = Images::folder(dir.path(), &form, &all()).unwrap();
    assert_eq!((set.len(), set.shape()), (3, Shape { channels: 1, height: 4, width: 4 }));
    for row in set.image(0).chunks(4) {
        assert!(row[0] == -1.0 && row[3] == 1.0 && (row[1] + row[2]).abs() < 1e-4, "{row:?}");
    }
    assert!(near(set.image(1), &[-0.6; 16]));
    assert!(
        set.image(2).iter().all(|v| (f64::from(*v) - (2.0 * 0.2126 - 1.0)).abs() < 1e-4),
        "{:?}",
        set.image(2)
    );
    let sized = Form { size: Some([4, 4]), grey: false };
    refused(
        Images::folder(dir.path(), &sized, &all()),
        "b.png\" is 4 x 4 grey where a.png is 4 x 4 in colour; give images",
    );
    for (size, why) in [([0, 4], "has no pixel"), ([1 << 40, 1 << 40], "is too large")] {
        let form = Form { size: Some(size), grey: true };
        refused(Images::folder(dir.path(), &form, &all()), &format!("size = ... {why}; give some [32, 32]"));
    }
    RgbaImage::new(2, 2).save(dir.path().join("d.png")).unwrap();
    refused(
        Images::folder(dir.path(), &form, &all()),
        "d.png\" has a transparency channel; save it without one",
    );
    refused(
        folder(&dir.path().join("none")),
        "path = ... cannot be read: ...; give a folder with PNG or JPEG images",
    );
    refused(
        folder(tempfile::tempdir().unwrap().path()),
        "path = ... holds no PNG or JPEG image; give a folder with some",
    );
}

/// Record `i` of a CIFAR file: its labels, then bytes that tell records, channels and places apart.
fn record(i: usize, labels: &[u8]) -> Vec<u8> {
    let byte = |k: usize| (k / 1024 * 80 + k % 1024 / 32 + i) as u8;
    labels.iter().copied().chain((0..3072).map(byte)).collect()
}

fn cifar10() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for batch in 1..=5u8 {
        let records = [record(usize::from(batch), &[batch]), record(usize::from(batch) + 40, &[0])].concat();
        fs::write(dir.path().join(format!("data_batch_{batch}.bin")), records).unwrap();
    }
    fs::write(dir.path().join("test_batch.bin"), record(7, &[9])).unwrap();
    dir
}

#[test]
fn cifar_records_are_classes_and_three_planes() {
    let dir = cifar10();
    let set = Images::cifar10(dir.path(), &all()).unwrap();
    assert_eq!((set.len(), set.shape()), (10, Shape { channels: 3, height: 32, width: 32 }));
    assert_eq!(set.labels().unwrap(), [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
    assert_eq!(set.name(), "cifar10(train)");
    let want: Vec<f64> = record(3, &[]).into_iter().map(value).collect();
    assert!(near(set.image(4), &want));
    let test = Images::cifar10(dir.path(), &test_part()).unwrap();
    assert_eq!((test.len(), test.labels().unwrap(), test.name()), (1, &[9][..], "cifar10(test)"));

    // Names, and the folder above.
    let above = tempfile::tempdir().unwrap();
    let inner = above.path().join("cifar-10-batches-bin");
    fs::rename(dir.path(), &inner).unwrap();
    fs::write(
        inner.join("batches.meta.txt"),
        "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n",
    )
    .unwrap();
    let cats = Images::cifar10(above.path(), &of_class("cat")).unwrap();
    assert_eq!((cats.len(), cats.labels().unwrap(), &cats.classes()[3][..]), (1, &[3][..], "cat"));
    assert_eq!(Images::cifar10(above.path(), &first(3)).unwrap().pixels(), &set.pixels()[..3 * 3072]);
    // What is not asked for need not be there.
    fs::remove_file(inner.join("data_batch_5.bin")).unwrap();
    assert_eq!(Images::cifar10(above.path(), &first(4)).unwrap().len(), 4);
    refused(
        Images::cifar10(above.path(), &all()),
        "data_batch_5.bin\" cannot be read: ...; unpack cifar-10-binary.tar.gz",
    );
    fs::write(inner.join("data_batch_5"), b"\x80\x02}q\x01").unwrap();
    refused(
        Images::cifar10(above.path(), &all()),
        "data_batch_5.bin\" is missing; beside it lies the version for Python",
    );

    let hundred = tempfile::tempdir().unwrap();
    fs::write(hundred.path().join("train.bin"), [record(1, &[3, 99]), record(2, &[255, 0])].concat())
        .unwrap();
    assert_eq!(Images::cifar100(hundred.path(), &all()).unwrap().labels().unwrap(), [99, 0]);
}

#[test]
fn damaged_cifar_files_are_refused_by_name() {
    let dir = cifar10();
    let broken = |bytes: &[u8], want: &str| {
        fs::write(dir.path().join("data_batch_2.bin"), bytes).unwrap();
        refused(Images::cifar10(dir.path(), &all()), &format!("path = ...data_batch_2.bin\" {want}; unpack"));
    };
    broken(&record(0, &[1])[..3072], "has 3072 bytes, which make no whole records of 3073");
    broken(&[], "has 0 bytes, which make no whole records of 3073");
    broken(&[record(0, &[1]), record(0, &[10])].concat(), "gives record 1 the class 10, and has 10");
}

/// A file of bytes in idx.
fn idx(sides: &[u32], bytes: &[u8]) -> Vec<u8> {
    let head = sides.iter().flat_map(|n| n.to_be_bytes());
    [0, 0, 8, sides.len() as u8].into_iter().chain(head).chain(bytes.iter().copied()).collect()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

/// Three images of 2 x 3 pixels.
fn mnist() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
    write("train-images-idx3-ubyte", idx(&[3, 2, 3], &(0..18).map(|k| 10 * k).collect::<Vec<u8>>()));
    write("train-labels-idx1-ubyte.gz", gz(&idx(&[3], &[5, 0, 5])));
    write("t10k-images.idx3-ubyte.gz", gz(&idx(&[1, 1, 1], &[255])));
    write("t10k-labels.idx1-ubyte", idx(&[1], &[1]));
    dir
}

#[test]
fn idx_files_are_read_packed_or_not_under_either_name() {
    let dir = mnist();
    let set = Images::mnist(dir.path(), &all()).unwrap();
    assert_eq!((set.len(), set.shape()), (3, Shape { channels: 1, height: 2, width: 3 }));
    assert!(near(set.pixels(), &(0..18).map(|k| value(10 * k)).collect::<Vec<_>>()));
    assert_eq!(
        (set.labels().unwrap(), set.classes().len(), set.name()),
        (&[5, 0, 5][..], 10, "mnist(train)")
    );
    let fives = Images::mnist(dir.path(), &of_class("5")).unwrap();
    assert_eq!(fives.pixels()[6..], set.pixels()[12..]);
    refused(
        Images::mnist(dir.path(), &of_class("7")),
        "class = 7 is the class of none of 3 images; give another class",
    );
    let test = Images::mnist(dir.path(), &test_part()).unwrap();
    assert_eq!((test.pixels(), test.labels().unwrap()), (&[1.0][..], &[1][..]));
}

#[test]
fn damaged_idx_files_are_refused_by_name() {
    let dir = mnist();
    let images = dir.path().join("train-images-idx3-ubyte");
    let broken = |bytes: &[u8], want: &str| {
        fs::write(&images, bytes).unwrap();
        refused(Images::mnist(dir.path(), &all()), want);
    };
    broken(
        &idx(&[3, 2, 3], &[0; 17]),
        "idx3-ubyte\" has 17 bytes after its head, which announces 18; download it again",
    );
    broken(
        &idx(&[3, 2, 3], &[0; 19]),
        "idx3-ubyte\" has 19 bytes after its head, which announces 18; download it again",
    );
    broken(
        &idx(&[u32::MAX; 3], &[0; 18]),
        "idx3-ubyte\" has 18 bytes after its head, which announces 18446744073709551615",
    );
    broken(&idx(&[3], &[0; 3]), "idx3-ubyte\" is cut short: 11 bytes; download it again");
    broken(
        &idx(&[3], &[0; 30]),
        "idx3-ubyte\" begins with 00000801, where idx of 3 sides has 00000803; give a folder with",
    );
    broken(
        &idx(&[2, 2, 3], &[0; 12]),
        "labels-idx1-ubyte.gz\" has 3 labels where ...images-idx3-ubyte has 2 images; take both",
    );
    broken(&idx(&[3, 0, 3], &[]), "idx3-ubyte\" holds images without a pixel");
    let packed = gz(&idx(&[3, 2, 3], &[7; 18]));
    broken(&packed[..packed.len() - 9], "idx3-ubyte\" is cut short or damaged: ...; download it again");
    fs::write(&images, idx(&[0, 2, 3], &[])).unwrap();
    fs::write(dir.path().join("train-labels-idx1-ubyte.gz"), idx(&[0], &[])).unwrap();
    refused(Images::mnist(dir.path(), &all()), "holds no image; give a set that has some");
    fs::remove_file(&images).unwrap();
    refused(
        Images::mnist(dir.path(), &all()),
        "train-images-idx3-ubyte\" is missing; give a folder with train-images",
    );
}

/// Cuts the bytes off, or changes some.
fn damaged(bytes: &[u8], cut: usize, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = bytes[..cut.min(bytes.len())].to_vec();
    let n = bytes.len();
    for (at, to) in changes.iter().filter(|_| n > 0) {
        bytes[at % n] = *to;
    }
    bytes
}

/// Where to cut, and what to change: near the head as a rule.
fn damage() -> impl Strategy<Value = (usize, Vec<(usize, u8)>)> {
    let place = prop_oneof![0..20usize, 0..4000usize];
    (prop_oneof![Just(usize::MAX), 0..4000usize], prop::collection::vec((place, any::<u8>()), 0..4))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// All that is read is pixels in range; all else is refused, and nothing panics.
    #[test]
    fn no_damage_to_a_file_makes_a_reader_panic((cut, changes) in damage()) {
        let dir = mnist();
        for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"] {
            let file = dir.path().join(name);
            let whole = fs::read(&file).unwrap();
            fs::write(&file, damaged(&whole, cut, &changes)).unwrap();
            in_range(Images::mnist(dir.path(), &all()))?;
            fs::write(&file, whole).unwrap();
        }
        let file = dir.path().join("data_batch_1.bin");
        fs::write(&file, damaged(&record(0, &[3]), cut, &changes)).unwrap();
        in_range(Images::cifar10(dir.path(), &first(1)))?;
        let picture = RgbImage::from_fn(24, 24, |x, y| Rgb([(x * y) as u8, x as u8, (x * x + 7 * y) as u8]));
        for name in ["a.png", "a.jpg"] {
            let file = dir.path().join(name);
            picture.save(&file).unwrap();
            let whole = fs::read(&file).unwrap();
            fs::write(&file, damaged(&whole, cut, &changes)).unwrap();
            in_range(folder(dir.path()))?;
            fs::remove_file(&file).unwrap();
        }
    }
}

fn in_range(result: scorebench::error::Result<Images>) -> Result<(), TestCaseError> {
    if let Ok(set) = result {
        prop_assert!(!set.is_empty() && set.pixels().len() == set.len() * set.shape().numbers());
        prop_assert!(set.pixels().iter().all(|v| (-1.0..=1.0).contains(v)));
    }
    Ok(())
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_without_its_feature_is_refused_with_the_way_out() {
    let refusal = Images::parquet(Path::new("x.parquet"), &Form::default(), &all());
    refused(
        refusal,
        "path = \"x.parquet\" is parquet, which this program was built without; build the program with --features",
    );
}
