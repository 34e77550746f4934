//! A key that is compared in constant time and never shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use subtle::ConstantTimeEq;

/// A key. Neither `Debug` nor serialisation shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Whether `given` is the key, in a time that tells nothing of where they differ.
    #[must_use]
    pub fn is(&self, given: &[u8]) -> bool {
        given.ct_eq(self.0.as_bytes()).into()
    }

    /// The key itself, to be sent to whom it is for.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(key: &str) -> Self {
        Self(key.to_owned())
    }
}

impl From<String> for Secret {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_key_is_compared_and_never_shown() {
        let key = Secret::from("open sesame");
        for (given, right) in [
            ("open sesame", true),
            ("open sesam", false),
            ("open sesame!", false),
            ("", false),
        ] {
            assert_eq!(key.is(given.as_bytes()), right, "{given}");
        }
        let shown = format!("{key:?} {}", serde_json::to_string(&key).expect("plain"));
        assert_eq!(shown, "[secret] \"[secret]\"");
    }
}
