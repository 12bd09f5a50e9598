//! Writes one more charger into a configuration, and leaves everything else as it stands, comments
//! and order included.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::model::security::Adoption;

/// The configuration with one more `[[evse]]`, or why not. What the rules say of it is for
/// [`super::parse`].
///
/// # Errors
/// The text is no TOML, or `evse` in it is something else.
pub fn with_evse(text: &str, adoption: &Adoption) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error| format!("the configuration is no TOML: {error}"))?;
    let list = document.entry("evse").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let Some(list) = list.as_array_of_tables_mut() else {
        return Err("evse is written as a list in one line; expected [[evse]] tables".to_owned());
    };
    list.push(block(adoption));
    Ok(document.to_string())
}

/// The lines that are added.
pub fn lines(adoption: &Adoption) -> String {
    let mut document = DocumentMut::new();
    let mut list = ArrayOfTables::new();
    list.push(block(adoption));
    document.insert("evse", Item::ArrayOfTables(list));
    document.to_string()
}

fn block(adoption: &Adoption) -> Table {
    let mut table = Table::new();
    let name = adoption.evse.as_ref().unwrap_or(&adoption.charge_point);
    table.insert("id", value(name));
    table.insert("node", value(&adoption.node));
    table.insert("charge_point", value(&adoption.charge_point));
    if adoption.connector != 1 {
        table.insert("connector", value(i64::from(adoption.connector)));
    }
    table.insert("phases", value(&adoption.phases));
    table.insert("rated_a", value(adoption.rated_a));
    table.insert("safe_a", value(adoption.safe_a));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adoption() -> Adoption {
        let text = r#"{"charge_point": "ACE-7", "node": "board", "evse": "EVSE-09"}"#;
        serde_json::from_str(text).expect("an adoption")
    }

    #[test]
    fn a_charger_is_added_and_nothing_else_is_touched() {
        let before = "# The yard.\n[site]\nname = \"Yard\" # as on the gate\n\n[[evse]]\n\
                      id = \"EVSE-01\"\n\n# The grid meter.\n[[meter]]\nid = \"grid\"\n";
        let after = with_evse(before, &adoption()).unwrap();
        let added = lines(&adoption());
        assert!(added.starts_with("[[evse]]\nid = \"EVSE-09\"\n"), "{added}");
        let rest = after.replacen(added.trim(), "", 1);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&rest), words(before), "{after}");
        let first = with_evse("[site]\nname = \"Yard\"\n", &adoption()).unwrap();
        assert!(first.contains("charge_point = \"ACE-7\""), "{first}");
        assert!(with_evse("evse = [{ id = \"A\" }]\n", &adoption()).is_err());
        assert!(with_evse("evse = ", &adoption()).is_err());
    }
}
