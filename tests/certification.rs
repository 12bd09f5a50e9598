//! The page of certification cases names tests that exist, and each case once.

use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = include_str!("../docs/certification.md");

#[test]
fn every_case_is_played_by_a_test_that_exists() {
    let mut cases = BTreeSet::new();
    for line in PAGE.lines().filter(|line| line.starts_with("| TC_")) {
        let case = line.split('|').nth(1).map(str::trim).expect("a case");
        assert!(cases.insert(case), "{case} stands twice");
        let cited: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        assert!(!cited.is_empty(), "{case} cites no test");
        for citation in cited {
            let (file, function) = citation.split_once("::").expect("file::function");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = std::fs::read_to_string(path).expect("a file of tests");
            let is_there =
                ["fn", "def"].iter().any(|word| text.contains(&format!("{word} {function}(")));
            assert!(is_there, "{case}: {citation}");
        }
    }
    assert!(60 < cases.len(), "{}", cases.len());
}
