//! Times as people write them. The API server takes fractions of a second; everything here happens at whole seconds, and
//! is written back as such.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Deserializer};

/// Reads a time before which something shall not happen: the next whole second.
pub fn rounded_up<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
    read(from, RoundMode::Ceil)
}

/// Reads a time from which on something shall not happen: the whole second that it is in.
pub fn rounded_down<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
    read(from, RoundMode::Floor)
}

fn read<'de, D: Deserializer<'de>>(from: D, mode: RoundMode) -> Result<Option<Time>, D::Error> {
    let time = Option::<Time>::deserialize(from)?;
    let round = |time: Timestamp| {
        let rounded = time.round(TimestampRound::new().smallest(Unit::Second).mode(mode));
        rounded.unwrap_or(time) // The last second that there is cannot be rounded up.
    };
    Ok(time.map(|time| Time(round(time.0))))
}

#[cfg(test)]
mod tests {
    use crate::api::InvitationSpec;
    use serde_json::json;

    #[test]
    fn fractions_of_a_second_never_come_too_early_and_never_end_too_late() {
        for (written, send_at, not_after) in [
            ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z"),
            ("2026-12-01T09:00:00.001Z", "2026-12-01T09:00:01Z", "2026-12-01T09:00:00Z"),
            ("2026-12-01T10:00:59.9+01:00", "2026-12-01T09:01:00Z", "2026-12-01T09:00:59Z"),
            ("9999-12-30T22:00:00.9Z", "9999-12-30T22:00:00.9Z", "9999-12-30T22:00:00Z"),
        ] {
            let spec =
                json!({"tenantRef": {"name": "acme"}, "email": "a@b.example", "sendAt": written, "notAfter": written});
            let spec: InvitationSpec = serde_json::from_value(spec).expect(written);
            let text = |time: Option<super::Time>| time.expect("a time").0.to_string();
            assert_eq!((text(spec.send_at), text(spec.not_after)), (send_at.into(), not_after.into()), "{written}");
        }
    }
}
