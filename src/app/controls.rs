//! Settings that can be changed while we run: the ConfigMap `config-policy-controller` of our own namespace, as policy-controller has it.
//!
//! A key of the ConfigMap goes before the flag, and the flag before the default, each key by itself. What a key says that cannot be
//! understood changes nothing; a ConfigMap that is deleted changes nothing either: somebody who can delete it shall not by that change
//! what happens to images. Both are told.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;

use crate::api::CONTROLS_CONFIG_MAP;
use crate::verdict::NoMatchPolicy;

/// What an image is answered that no policy matches.
const NO_MATCH: &str = "no-match-policy";
/// Whether a policy without authorities is refused when it is applied.
const EMPTY_AUTHORITIES: &str = "fail-on-empty-authorities";

/// The settings in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controls {
    /// What an image is answered that no policy matches.
    pub no_match: NoMatchPolicy,
    /// Whether a policy without authorities is refused when it is applied. It denies what it matches either way.
    pub fail_on_empty_authorities: bool,
}

/// How the ConfigMap was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlsState {
    /// There has been none since the start: flags are in force.
    #[default]
    Absent,
    /// It was read.
    Read,
    /// It was read, and something in it cannot be understood.
    Invalid,
    /// There was one, and it is gone; what it said last is in force.
    Deleted,
}

/// The settings, and where they come from.
pub(super) struct ControlSource {
    flags: Controls,
    now: Controls,
    state: ControlsState,
    /// What was told of it last, so that it is told once.
    told: Vec<String>,
}

// === impl ControlsState ===

impl ControlsState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Absent, Self::Read, Self::Invalid, Self::Deleted];

    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Read => "read",
            Self::Invalid => "invalid",
            Self::Deleted => "deleted",
        }
    }
}

// === impl Controls ===

impl Default for Controls {
    fn default() -> Self {
        Self {
            no_match: NoMatchPolicy::Deny,
            fail_on_empty_authorities: true,
        }
    }
}

// === impl ControlSource ===

impl ControlSource {
    /// What the flags say.
    pub(super) fn new(no_match: NoMatchPolicy) -> Self {
        let flags = Controls {
            no_match,
            ..Controls::default()
        };
        Self {
            flags,
            now: flags,
            state: ControlsState::Absent,
            told: Vec::new(),
        }
    }

    /// What is in force.
    pub(super) fn now(&self) -> Controls {
        self.now
    }

    /// How the ConfigMap was found last.
    pub(super) fn state(&self) -> ControlsState {
        self.state
    }

    /// Takes the ConfigMap as it is now, and gives the settings that are in force from now on.
    pub(super) fn take(&mut self, map: Option<&ConfigMap>) -> Controls {
        let before = self.now;
        let problems = match (map, self.state) {
            (None, ControlsState::Absent) => Vec::new(),
            (None, _) => {
                self.state = ControlsState::Deleted;
                vec!["it was deleted; what it said last stays in force".to_owned()]
            }
            (Some(map), _) => {
                let problems = self.read(map.data.as_ref().unwrap_or(&BTreeMap::new()));
                self.state = if problems.is_empty() {
                    ControlsState::Read
                } else {
                    ControlsState::Invalid
                };
                problems
            }
        };
        for problem in problems.iter().filter(|p| !self.told.contains(p)) {
            tracing::warn!(name = CONTROLS_CONFIG_MAP, "{problem}");
        }
        self.told = problems;
        if self.now != before {
            tracing::info!(name = CONTROLS_CONFIG_MAP, settings = ?self.now, "settings changed");
        }
        self.now
    }

    /// Reads what the keys say, and gives what cannot be understood.
    fn read(&mut self, data: &BTreeMap<String, String>) -> Vec<String> {
        let mut problems = Vec::new();
        match data.get(NO_MATCH).map(String::as_str) {
            None => self.now.no_match = self.flags.no_match,
            Some("deny") => self.now.no_match = NoMatchPolicy::Deny,
            Some("allow") => self.now.no_match = NoMatchPolicy::Allow,
            Some("warn") => self.now.no_match = NoMatchPolicy::Warn,
            Some(other) => problems.push(unusable(NO_MATCH, other, "deny, allow or warn")),
        }
        match data.get(EMPTY_AUTHORITIES).map(|value| boolean(value)) {
            None => self.now.fail_on_empty_authorities = self.flags.fail_on_empty_authorities,
            Some(Ok(value)) => self.now.fail_on_empty_authorities = value,
            Some(Err(other)) => {
                problems.push(unusable(EMPTY_AUTHORITIES, other, "true or false"));
            }
        }
        problems
    }
}

fn unusable(key: &str, found: &str, wanted: &str) -> String {
    let found: String = found.chars().take(64).collect();
    format!("{key} is {found:?}, not {wanted}; what was in force stays so")
}

/// A boolean in each of Go's spellings.
fn boolean(text: &str) -> Result<bool, &str> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(data: &[(&str, &str)]) -> ConfigMap {
        let data = data.iter();
        ConfigMap {
            data: Some(
                data.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            ),
            ..ConfigMap::default()
        }
    }

    #[test]
    fn a_key_goes_before_the_flag_and_gives_it_back_when_it_goes() {
        let mut source = ControlSource::new(NoMatchPolicy::Warn);
        assert_eq!(source.take(None).no_match, NoMatchPolicy::Warn);
        assert_eq!(source.state(), ControlsState::Absent);
        let controls = source.take(Some(&map(&[(NO_MATCH, "allow")])));
        assert_eq!(controls.no_match, NoMatchPolicy::Allow);
        let other = map(&[(EMPTY_AUTHORITIES, "F"), ("enable-oci11", "?")]);
        assert_eq!(
            source.take(Some(&other)),
            Controls {
                no_match: NoMatchPolicy::Warn,
                fail_on_empty_authorities: false
            }
        );
        assert_eq!(source.state(), ControlsState::Read);
    }

    #[test]
    fn what_cannot_be_understood_changes_nothing_and_the_rest_counts() {
        let mut source = ControlSource::new(NoMatchPolicy::Deny);
        source.take(Some(&map(&[(NO_MATCH, "allow")])));
        let wrong = map(&[(NO_MATCH, "Deny"), (EMPTY_AUTHORITIES, "false")]);
        let controls = source.take(Some(&wrong));
        assert_eq!(controls.no_match, NoMatchPolicy::Allow);
        assert!(!controls.fail_on_empty_authorities);
        assert_eq!(source.state(), ControlsState::Invalid);
        source.take(Some(&map(&[(NO_MATCH, "deny")])));
        assert_eq!(source.now().no_match, NoMatchPolicy::Deny);
        assert_eq!(source.state(), ControlsState::Read);
    }

    #[test]
    fn what_it_said_last_stays_when_it_is_deleted() {
        let mut source = ControlSource::new(NoMatchPolicy::Allow);
        source.take(Some(&map(&[(NO_MATCH, "deny")])));
        assert_eq!(source.take(None).no_match, NoMatchPolicy::Deny);
        assert_eq!(source.state(), ControlsState::Deleted);
        source.take(Some(&map(&[])));
        assert_eq!(source.now().no_match, NoMatchPolicy::Allow);
        assert_eq!(source.state(), ControlsState::Read);
    }
}
