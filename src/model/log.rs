//! Log levels as people write them: `info,ocpp=debug,rumqttc=error`.

use std::collections::BTreeMap;

use log::LevelFilter;

/// Modules that may have a level of their own.
const MODULES_MAX: usize = 32;

/// What is logged: a level for all, and others for single modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// For everything of this program that has none of its own.
    pub all: LevelFilter,
    /// By module of this program (`ocpp`) or library (`rumqttc`).
    pub modules: BTreeMap<String, LevelFilter>,
}

impl Default for Levels {
    fn default() -> Self {
        Self { all: LevelFilter::Info, modules: BTreeMap::new() }
    }
}

impl Levels {
    /// Reads them; the error says what was found and what was expected.
    ///
    /// # Errors
    /// A word is neither a level nor `module=level`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut levels = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (module, word) = match part.split_once('=') {
                Some((module, word)) => (Some(module.trim()), word.trim()),
                None => (None, part),
            };
            let Ok(level) = word.parse() else {
                let expected = "error, warn, info, debug, trace or off";
                return Err(format!("found \"{word}\", expected {expected}"));
            };
            match module {
                None => levels.all = level,
                Some("") => return Err(format!("found \"{part}\", expected module=level")),
                Some(module) => {
                    levels.modules.insert(module.to_owned(), level);
                }
            }
        }
        if MODULES_MAX < levels.modules.len() {
            return Err(format!("more than {MODULES_MAX} modules"));
        }
        Ok(levels)
    }

    /// The most that any module shows.
    pub fn most(&self) -> LevelFilter {
        self.modules.values().copied().fold(self.all, Ord::max)
    }

    /// The level that was given to a target like `ampgate::ocpp::boot`, by its longest beginning;
    /// `own` is the first part of targets of this program.
    pub fn of(&self, own: &str, target: &str) -> Option<LevelFilter> {
        let inside = target.strip_prefix(own).and_then(|rest| rest.strip_prefix("::"));
        let begins = |target: &str, module: &str| {
            let rest = target.strip_prefix(module);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let fits = |module: &str| {
            begins(target, module) || inside.is_some_and(|inside| begins(inside, module))
        };
        let named = self.modules.iter().filter(|(module, _)| fits(module));
        named.max_by_key(|(module, _)| module.len()).map(|(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_for_all_and_for_modules() {
        let levels = Levels::parse("warn, ocpp=debug,ocpp::boot=trace,rumqttc=error").unwrap();
        assert_eq!(levels.all, LevelFilter::Warn);
        assert_eq!(levels.most(), LevelFilter::Trace);
        let of = |target| levels.of("ampgate", target);
        assert_eq!(of("ampgate::ocpp::link"), Some(LevelFilter::Debug));
        assert_eq!(of("ampgate::ocpp::boot"), Some(LevelFilter::Trace));
        assert_eq!(of("rumqttc::state"), Some(LevelFilter::Error));
        assert_eq!(of("ampgate::ocppx"), None);
        assert_eq!(Levels::parse("").unwrap(), Levels::default());
        for bad in ["loud", "ocpp=loud", "=info"] {
            assert!(Levels::parse(bad).is_err(), "{bad}");
        }
    }
}
