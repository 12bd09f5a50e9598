//! Secrets on their way to a charger. The controller knows a place-holder alone, so that no
//! journal, event or picture has the secret; it is filled in where the text leaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::secret::random_hex;

/// How every name begins; a text with one that nothing stands behind does not leave.
const MARK: &str = "ampgate-secret-";

/// Secrets on their way at a time.
const SECRETS_MAX: usize = 64;

/// All of them; cheap to clone.
#[derive(Clone, Default)]
pub struct Vault(Arc<Mutex<BTreeMap<String, String>>>);

impl std::fmt::Debug for Vault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Vault(…)")
    }
}

/// A secret that is on its way; forgotten when this is dropped.
#[derive(Debug)]
pub struct Deposit {
    vault: Vault,
    /// What stands for it in texts; nobody can guess it.
    pub name: String,
}

impl Vault {
    /// Takes a secret in; none where too many are on their way.
    pub fn deposit(&self, secret: String) -> Option<Deposit> {
        let name = format!("{MARK}{}", random_hex::<12>());
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if SECRETS_MAX <= secrets.len() {
            return None;
        }
        secrets.insert(name.clone(), secret);
        Some(Deposit { vault: self.clone(), name })
    }

    /// A text with secrets in the place of their names; none where a name has nothing behind it any
    /// more, since a charger would take the name for its password.
    pub fn fill(&self, text: String) -> Option<String> {
        if !text.contains(MARK) {
            return Some(text);
        }
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, secret) = secrets.iter().find(|(name, _)| text.contains(name.as_str()))?;
        Some(text.replace(name.as_str(), secret))
    }
}

impl Drop for Deposit {
    fn drop(&mut self) {
        self.vault.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_filled_in_while_it_is_on_its_way_and_then_forgotten() {
        let vault = Vault::default();
        let deposit = vault.deposit("ABCD".to_owned()).unwrap();
        let frame = format!("[2,\"1\",\"X\",{{\"value\":\"{}\"}}]", deposit.name);
        assert!(!format!("{vault:?} {deposit:?}").contains("ABCD"));
        let filled = vault.fill(frame.clone());
        assert_eq!(filled.as_deref(), Some("[2,\"1\",\"X\",{\"value\":\"ABCD\"}]"));
        drop(deposit);
        assert_eq!(vault.fill(frame), None, "a name never leaves");
        assert_eq!(vault.fill("[3]".to_owned()).as_deref(), Some("[3]"));
    }
}
