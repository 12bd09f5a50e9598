//! Rule: the documents say what is so. Requirements cite tests that exist, the event catalogue
//! equals the code, links lead to files.

use std::collections::BTreeMap;
use std::path::Path;

use ampgate::model::event::{EventKind, Severity};

/// What the product must do; docs/requirements.md has a row for each.
const REQUIREMENTS: [&str; 28] = [
    "OCPP-1", "OCPP-2", "GRID-1", "GRID-2", "LIMIT-1", "LIMIT-2", "LIMIT-3", "METER-1", "METER-2",
    "PLAN-1", "PLAN-2", "PLAN-3", "PLAN-4", "PREF-1", "OCPI-1", "OCPI-2", "OCPI-3", "AUTH-1",
    "RESV-1", "TWIN-1", "TWIN-2", "UI-1", "UI-2", "WHY-1", "APP-1", "APP-2", "OPS-1", "SEC-1",
];

/// Cells of the rows of all tables in a page, heads and rulers left out.
fn rows(page: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let is_ruler = |line: &str| line.starts_with("|--") || line.starts_with("| --");
    let is_row = |at: usize| {
        let head = lines.get(at + 1).is_some_and(|next| is_ruler(next));
        lines[at].starts_with('|') && !is_ruler(lines[at]) && !head
    };
    let rows = (0..lines.len()).filter(|at| is_row(*at)).map(|at| {
        let cells = lines[at].trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    });
    rows.collect()
}

/// Everything between single backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Faults of the table of requirements. `read` gives the text of a file of the repository.
pub fn requirements(page: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows(page) {
        let [id, _, status, proof] = row.as_slice() else {
            faults.push(format!("a row has {} cells and not 4: {row:?}", row.len()));
            continue;
        };
        *seen.entry(id.clone()).or_default() += 1;
        if !["done", "part", "open"].contains(&status.as_str()) {
            faults.push(format!("{id}: status `{status}` is none of done, part, open"));
        }
        let mut cited = 0;
        for citation in quoted(proof).filter(|text| text.contains("::")) {
            cited += 1;
            if !exists(citation, read) {
                faults.push(format!("{id}: there is no test `{citation}`"));
            }
        }
        if cited == 0 && status == "done" {
            faults.push(format!("{id}: done, but cites no test"));
        }
    }
    for id in REQUIREMENTS {
        match seen.remove(id) {
            Some(1) => {}
            Some(times) => faults.push(format!("{id} stands {times} times in the table")),
            None => faults.push(format!("{id} is missing from the table")),
        }
    }
    faults.extend(seen.into_keys().map(|id| format!("{id} is no requirement of the product")));
    faults
}

/// Whether `file::name` is a test function in a file of the repository.
fn exists(citation: &str, read: &dyn Fn(&str) -> Option<String>) -> bool {
    let Some((path, name)) = citation.split_once("::") else { return false };
    let Some(text) = read(path) else { return false };
    let python = path.ends_with(".py");
    let head = if python { format!("def {name}(") } else { format!("fn {name}(") };
    let Some(at) = text.find(&head) else { return false };
    // Only attributes, comments and the rest of the signature stand between mark and name.
    let between = |line: &&str| {
        let line = line.trim();
        ["", "pub", "async"].contains(&line) || line.starts_with('#') || line.starts_with("//")
    };
    let above: Vec<&str> = text[..at].lines().rev().take_while(between).collect();
    let is_mark = |line: &&str| line.contains("#[test]") || line.contains("#[tokio::test");
    python || above.iter().any(is_mark)
}

/// Crates that are built into the product without a row in the table of dependencies, and rows
/// without a crate.
pub fn dependencies(manifest: &str, page: &str) -> Vec<String> {
    let (_, rest) = manifest.split_once("\n[dependencies]\n").unwrap_or_default();
    let table = rest.split("\n[").next().unwrap_or_default();
    let crates = table.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    let crates: Vec<&str> = crates.filter(|name| !name.starts_with('#')).collect();
    let told: Vec<String> = rows(page).into_iter().map(|row| row[0].clone()).collect();
    let untold = crates.iter().filter(|name| !told.iter().any(|row| row == *name));
    let gone = told.iter().filter(|row| !crates.contains(&row.as_str()));
    let mut faults: Vec<String> =
        untold.map(|name| format!("{name} has no row in decision 0006")).collect();
    faults.extend(gone.map(|row| format!("{row} has a row in decision 0006 and is not used")));
    faults
}

/// The catalogue as a table, one row for each kind of event.
pub fn catalogue() -> String {
    let rows = EventKind::ALL.iter().map(|kind| {
        let severity = match kind.severity() {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Alarm => "alarm",
        };
        format!("| `{}` | {severity} | {} |\n", kind.code(), kind.meaning().trim())
    });
    format!("| code | severity | meaning |\n|---|---|---|\n{}", rows.collect::<String>())
}

/// The page with the table between its two marks replaced by `table`; none without the marks.
pub fn with_table(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once("<!-- catalogue -->\n")?;
    let (_, after) = rest.split_once("<!-- end -->")?;
    Some(format!("{before}<!-- catalogue -->\n{table}<!-- end -->{after}"))
}

/// Links of a page that lead to no file. `path` is the page's own.
pub fn links(path: &str, page: &str, there: &dyn Fn(&str) -> bool) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let mut faults = Vec::new();
    for target in targets {
        let file = target.split('#').next().unwrap_or_default();
        if file.is_empty() || file.contains("://") {
            continue;
        }
        let mut parts: Vec<String> = Vec::new();
        for part in folder.join(file).components() {
            match part.as_os_str().to_str() {
                Some("..") => drop(parts.pop()),
                Some(name) => parts.push(name.to_owned()),
                None => {}
            }
        }
        if !there(&parts.join("/")) {
            faults.push(format!("{path}: the link `{target}` leads nowhere"));
        }
    }
    faults
}

#[cfg(test)]
fn page_with(row: &str, left_out: &str) -> String {
    let rest = REQUIREMENTS.iter().filter(|id| **id != left_out);
    let rest: String = rest.map(|id| format!("| {id} | text | open | |\n")).collect();
    format!("# Page\n\n| id | what | status | proof |\n|---|---|---|---|\n{rest}{row}\n")
}

#[test]
fn requirements_without_proof_are_caught() {
    let read = |path: &str| match path {
        "tests/a.rs" => Some("#[test]\nfn works() {}\nfn helper() {}\n".to_owned()),
        "tests/system/test_a.py" => Some("async def test_it(site):\n".to_owned()),
        _ => None,
    };
    let faults = |row: &str| requirements(&page_with(row, "UI-1"), &read).len();
    assert_eq!(faults("| UI-1 | text | done | `tests/a.rs::works` |"), 0);
    assert_eq!(faults("| UI-1 | text | part | `tests/system/test_a.py::test_it` |"), 0);
    assert_eq!(faults("| UI-1 | text | done | by eye |"), 1, "done without a test");
    assert_eq!(faults("| UI-1 | text | done | `tests/a.rs::gone` |"), 1, "no such function");
    assert_eq!(faults("| UI-1 | text | done | `tests/a.rs::helper` |"), 1, "not a test");
    assert_eq!(faults("| UI-1 | text | part | `tests/b.rs::works` |"), 1, "no such file");
    assert_eq!(faults("| UI-1 | text | nearly | |"), 1, "no such status");
    assert_eq!(faults(""), 1, "a requirement left out");
    assert_eq!(faults("| UI-1 | a | open | |\n| UI-1 | a | open | |"), 1, "one given twice");
    assert_eq!(faults("| UI-1 | a | open | |\n| UI-9 | a | open | |"), 1, "one nobody asked for");
}

#[test]
fn a_page_that_differs_from_the_catalogue_is_seen() {
    let page = "intro\n<!-- catalogue -->\nold\n<!-- end -->\nrest\n";
    let fresh = with_table(page, &catalogue()).expect("the marks are there");
    assert!(fresh != page && fresh.starts_with("intro\n") && fresh.ends_with("rest\n"));
    assert_eq!(with_table(&fresh, &catalogue()).as_deref(), Some(fresh.as_str()));
    assert_eq!(with_table("no marks", &catalogue()), None);
}

#[test]
fn dependencies_without_a_reason_are_caught() {
    let manifest = "\n[dependencies]\na = \"1\"\n# why\nb = { path = \"x\" }\n\n[x]\nc = 1\n";
    let page = |names: &[&str]| {
        let rows: String = names.iter().map(|name| format!("| {name} | why |\n")).collect();
        format!("| crate | why |\n|---|---|\n{rows}")
    };
    assert_eq!(dependencies(manifest, &page(&["a", "b"])), Vec::<String>::new());
    assert_eq!(dependencies(manifest, &page(&["a"])).len(), 1);
    assert_eq!(dependencies(manifest, &page(&["a", "b", "c"])).len(), 1);
}

#[test]
fn dead_links_are_caught() {
    let there = |path: &str| path == "docs/style.md" || path == "README.md";
    let page = "[a](style.md#names) [b](../README.md) [c](https://example.com/x) [d](#here)";
    assert_eq!(links("docs/a.md", page, &there), Vec::<String>::new());
    assert_eq!(links("docs/a.md", "see [a](gone.md)", &there).len(), 1);
}
