//! Rules of `[web]`, and of `listen.web` beyond this machine.

use super::check_policy::address;
use super::file::File;
use super::network::{OuterPage, Shown};
use super::report::Report;
use super::words::quoted;

/// Checks the door for other machines.
pub fn check(file: &File, report: &mut Report) {
    let web = &file.web;
    let pair = [("certificate_file", &web.certificate_file), ("key_file", &web.key_file)];
    if let [(there, Some(_)), (absent, None)] | [(absent, None), (there, Some(_))] = pair {
        let path = format!("web.{there}");
        report.error(&path, format!("{there} without {absent}"), "both, or none of them");
    }
    for (index, name) in web.names.iter().enumerate() {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
        if !name.chars().all(plain) {
            let expected = "the name of a host alone, like \"ampgate.example.org\"";
            report.error(&format!("web.names[{index}]"), quoted(name), expected);
        }
    }
    let Some(open) = address(&file.listen.web) else {
        if is_inside_tls(file) && file.listen.web.is_none() {
            let expected = "web = \"0.0.0.0:8443\" or the like in [listen]";
            report.warning("web", "no listen.web", expected);
        }
        return;
    };
    if !open.ip().is_loopback() && !is_inside_tls(file) && !report.is_wrong_below("web") {
        report.error(
            "listen.web",
            quoted(&open.to_string()),
            format!(
                "tls = true in [web] with a certificate (`ampgate ca init` makes one, or \
                 certificate_file and key_file), or a loopback address, \"127.0.0.1:{}\": \
                 passwords would cross that network in clear",
                open.port()
            ),
        );
    }
}

/// What the page needs for other machines; none where it is for this one alone.
pub fn outer_page(file: &File) -> Option<OuterPage> {
    if !is_inside_tls(file) {
        return None;
    }
    let web = &file.web;
    let shown = |certificate: &String| {
        Some(Shown { certificate: certificate.into(), key: web.key_file.as_ref()?.into() })
    };
    Some(OuterPage {
        shown: web.certificate_file.as_ref().and_then(shown),
        names: web.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
    })
}

fn is_inside_tls(file: &File) -> bool {
    file.web.tls || file.web.certificate_file.is_some()
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    use super::super::network::{OuterPage, Shown};

    /// What is said of a site with these lines in `[listen]` and after it.
    fn said(listen: &str, rest: &str) -> Result<Option<OuterPage>, String> {
        let text = format!(
            "[site]\nname = \"Yard\"\ntime_zone = \"Europe/Paris\"\n[access]\nanyone = true\n\
             [[node]]\nid = \"grid\"\nrating_a = 63\nworst_case_load_a = 20\n\
             [listen]\nocpp = \"127.0.0.1:9000\"\n{listen}\n{rest}\n\
             [[evse]]\nid = \"E1\"\nnode = \"grid\"\ncharge_point = \"CP-01\"\nphases = \"L1\"\n\
             rated_a = 16\nsafe_a = 6\n"
        );
        let told = |problem: &crate::config::problem::Problem| format!("{problem}\n");
        match parse(&text, "site.toml") {
            Ok(checked) if checked.warnings.is_empty() => Ok(checked.config.outer_page),
            Ok(checked) => Err(checked.warnings.iter().map(told).collect()),
            Err(problems) => Err(problems.iter().map(told).collect()),
        }
    }

    #[test]
    fn beyond_loopback_the_page_needs_tls() {
        let (here, away) = ("web = \"127.0.0.1:8080\"", "web = \"10.1.2.3:8443\"");
        assert_eq!(said(here, ""), Ok(None));
        let open = said(away, "").expect_err("nothing is encrypted");
        assert!(open.contains("site.toml:12"), "{open}");
        for words in ["[listen] web", "\"10.1.2.3:8443\"", "tls = true in [web]", "ampgate ca init"]
        {
            assert!(open.contains(words), "{words} in {open}");
        }
        let page = said(away, "[web]\ntls = true\nnames = [\"Box.example\"]");
        let names = vec!["box.example".to_owned()];
        assert_eq!(page, Ok(Some(OuterPage { shown: None, names })));
        let own = said(away, "[web]\ncertificate_file = \"/c.pem\"\nkey_file = \"/k.pem\"");
        let shown = Shown { certificate: "/c.pem".into(), key: "/k.pem".into() };
        assert_eq!(own, Ok(Some(OuterPage { shown: Some(shown), names: Vec::new() })));
        assert!(said(here, "[web]\ntls = true").is_ok_and(|page| page.is_some()));
    }

    #[test]
    fn half_a_certificate_and_what_is_no_name_are_told_with_their_line() {
        let web = "web = \"10.1.2.3:8443\"";
        let half = said(web, "[web]\ncertificate_file = \"/c.pem\"").expect_err("no key");
        assert!(half.contains("site.toml:14"), "{half}");
        assert!(half.contains("certificate_file without key_file"), "{half}");
        let url = said(web, "[web]\ntls = true\nnames = [\"https://a.example\"]");
        assert!(url.expect_err("no name").contains("the name of a host alone"));
        let shut = said("", "[web]\ntls = true").expect_err("nothing listens");
        assert!(shut.contains("no listen.web"), "{shut}");
    }
}
