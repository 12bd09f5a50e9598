use super::*;

fn said(text: &str) -> String {
    let problems = match parse(text, "site.toml") {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    };
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn look() {
    println!("{}", said(include_str!("../../config/office.toml")));
    println!("{}", said(&std::fs::read_to_string("/tmp/cfgprobe/bad.toml").unwrap()));
    println!(
        "{:#?}",
        parse(include_str!("../../config/office.toml"), "x").map(|c| c.config.site.diagram.nodes)
    );
}
