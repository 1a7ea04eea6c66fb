//! Figures as PDF, for LaTeX: drawn from the SVG files that lie in result folders.

use std::sync::{Arc, LazyLock};

use svg2pdf::usvg::{Options, Tree, fontdb::Database};

/// What all figures are read with: their font, which the program carries.
static OPTIONS: LazyLock<Options> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(include_bytes!("../../assets/DejaVuSans.ttf").to_vec());
    Options { fontdb: Arc::new(fonts), font_family: crate::plot::FONT.into(), ..Options::default() }
});

/// A picture as a file of one page of its size.
///
/// # Errors
/// Says what the picture holds that cannot be read or drawn.
pub(super) fn page(svg: &str) -> Result<Vec<u8>, String> {
    let tree = Tree::from_str(svg, &OPTIONS).map_err(|e| e.to_string())?;
    svg2pdf::to_pdf(&tree, Default::default(), Default::default()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_becomes_one_page_and_the_same_bytes_each_time() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"90\" height=\"40\"><text x=\"5\" y=\"20\" \
                   font-family=\"DejaVu Sans\" font-size=\"11\">10⁻³</text></svg>";
        let pdf = page(svg).expect("a picture");
        assert!(
            pdf.starts_with(b"%PDF") && pdf.windows(7).any(|w| w == b"DejaVuS"),
            "its letters come along"
        );
        assert_eq!(page(svg), Ok(pdf));
        assert!(page("<svg").is_err());
    }
}
