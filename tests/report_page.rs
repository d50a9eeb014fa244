//! The report's page as text: its policy, its size, its order, and what it says where there is little to say.
//! What a browser makes of it is in `report_browser.rs`.

#[path = "support/digest.rs"]
mod digest;

use digest::{Plain, large, rich};
use soakhound::report::html;

#[test]
fn the_largest_page_fits_into_a_mebibyte() {
    let page = html::page(&large(&Plain));
    println!("{} bytes", page.len());
    assert!(page.len() <= 1024 * 1024, "{} bytes", page.len());
}

#[test]
fn the_same_digest_gives_the_same_bytes() {
    let page = html::page(&rich(&Plain));
    if let Some(folder) = std::env::var_os("SOAKHOUND_PAGES") {
        let folder = std::path::PathBuf::from(folder);
        std::fs::write(folder.join("rich.html"), &page).unwrap();
        std::fs::write(folder.join("large.html"), html::page(&large(&Plain))).unwrap();
    }
    assert!(page == html::page(&rich(&Plain)));
}
