//! Durations as people write them in YAML: `24h`, `14d`, `1w2d`.
//!
//! Kubernetes' `format: duration` reads the same texts, so that the API server can compare them in CEL. The text is
//! kept as it was written: Git and the API server never disagree about `14d` and `336h`.

use std::{borrow::Cow, fmt, str::FromStr};

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration in weeks, days, hours, minutes and seconds (`1w2d`, `14d`, `24h`, `5m30s`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HumanDuration {
    text: String,
    length: SignedDuration,
}

impl HumanDuration {
    /// Its length.
    pub fn length(&self) -> SignedDuration {
        self.length
    }
}

/// Why a text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no duration: write numbers with a unit w, d, h, m or s, such as 24h, 14d or 1w2d")]
pub struct DurationError(String);

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let error = || DurationError(text.chars().take(32).collect());
        let (mut total, mut number, mut digits) = (0i64, 0i64, 0);
        for character in text.chars() {
            let unit = match character {
                // Five digits at the most, as in the schema: no sum of them can overflow.
                '0'..='9' if digits < 5 => {
                    number = number * 10 + i64::from(u32::from(character) - u32::from('0'));
                    digits += 1;
                    continue;
                }
                'w' => 7 * 24 * 3600,
                'd' => 24 * 3600,
                'h' => 3600,
                'm' => 60,
                's' => 1,
                _ => return Err(error()),
            };
            if digits == 0 {
                return Err(error());
            }
            total += number * unit;
            (number, digits) = (0, 0);
        }
        if text.is_empty() || digits != 0 || text.len() > 32 {
            return Err(error());
        }
        Ok(HumanDuration { text: text.to_owned(), length: SignedDuration::from_secs(total) })
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "HumanDuration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "duration", "maxLength": 32, "pattern": "^([0-9]{1,5}[wdhms])+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_kubernetes_reads_them() {
        for (text, seconds) in
            [("24h", 86_400), ("14d", 14 * 86_400), ("1w2d", 9 * 86_400), ("5m30s", 330), ("0s", 0), ("1h1h", 7200)]
        {
            assert_eq!(text.parse::<HumanDuration>().map(|d| d.length().as_secs()), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "24", "h", "1 h", "-1h", "1.5h", "123456h", "1y", "1M", "1h2"] {
            let error = text.parse::<HumanDuration>().expect_err(text).to_string();
            assert!(error.contains("14d"), "{error}");
        }
    }

    #[test]
    fn the_text_is_kept_as_written() {
        let duration: HumanDuration = serde_json::from_str("\"336h\"").expect("a duration");
        assert_eq!(serde_json::to_string(&duration).expect("text"), "\"336h\"");
    }
}
