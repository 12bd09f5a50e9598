//! The house rules, checked: floors, circles, words, lengths, documents.
//!
//! Each rule stands in a file of `tests/tidy/` beside a test that shows it can fail. A rule that
//! gives a false alarm is corrected there, not switched off.

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/lengths.rs"]
mod lengths;
#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use std::path::{Path, PathBuf};

/// The work tree to look at: this one, or the one that `TIDY_ROOT` names.
fn root() -> PathBuf {
    match std::env::var_os("TIDY_ROOT") {
        Some(other) => PathBuf::from(other),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")),
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(root().join(path)).ok()
}

fn product() -> Vec<source::Source> {
    source::load(&root(), "src")
}

/// Product, tests and benches.
fn all_rust() -> Vec<source::Source> {
    ["src", "tests", "benches"].iter().flat_map(|folder| source::load(&root(), folder)).collect()
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn imports_point_downward() {
    none(floors::check(&product()));
}

#[test]
fn no_files_import_each_other() {
    none(floors::cycles(&product()));
}

#[test]
fn pure_floors_are_pure() {
    none(product().iter().flat_map(words::purity).collect());
}

#[test]
fn no_shortcuts_ship() {
    none(product().iter().flat_map(words::shortcuts).collect());
}

#[test]
fn every_file_says_what_it_is() {
    none(all_rust().iter().flat_map(words::opening).collect());
}

#[test]
fn public_items_say_what_they_are() {
    none(product().iter().flat_map(words::undocumented).collect());
}

#[test]
fn nothing_is_too_long() {
    let sources = all_rust();
    none(sources.iter().flat_map(lengths::check).collect());
    match lengths::median(&product()) {
        Ok(middle) => println!("median file: {middle} lines"),
        Err(fault) => panic!("{fault}"),
    }
}

#[test]
fn no_place_of_one_machine_is_named() {
    let mut faults = Vec::new();
    source::walk(&root(), "", &mut |path, full| {
        // The lock file and the recipe's copy of it name the public index; that is their job.
        let names_index = path == "Cargo.lock" || path.ends_with("/ampgate-crates.inc");
        if let (false, Ok(text)) = (names_index, std::fs::read_to_string(full)) {
            faults.extend(words::places(path, &text));
        }
    });
    none(faults);
}

#[test]
fn requirements_have_their_proofs() {
    let page = read("docs/requirements.md").expect("docs/requirements.md is there");
    none(papers::requirements(&page, &read));
}

#[test]
fn the_event_page_is_the_catalogue() {
    let page = read("docs/events.md").expect("docs/events.md is there");
    let fresh = papers::with_table(&page, &papers::catalogue()).expect("the page has its marks");
    // UPDATE_EXPECT=1 writes the page anew.
    expect_test::expect_file![root().join("docs/events.md")].assert_eq(&fresh);
}

#[test]
fn dependencies_have_their_reasons() {
    let manifest = read("Cargo.toml").expect("Cargo.toml is there");
    let page = read("docs/decisions/0006-dependencies.md").expect("decision 0006 is there");
    none(papers::dependencies(&manifest, &page));
}

#[test]
fn links_lead_to_files() {
    let mut faults = Vec::new();
    let there = |path: &str| Path::new(&root()).join(path).exists();
    source::walk(&root(), "", &mut |path, full| {
        if let (true, Ok(page)) = (path.ends_with(".md"), std::fs::read_to_string(full)) {
            faults.extend(papers::links(path, &page, &there));
        }
    });
    none(faults);
}
