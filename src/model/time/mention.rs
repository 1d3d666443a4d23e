//! Moments inside sentences that others wrote: named in UTC where nobody knows yet who will read them, and shown to each
//! reader in the zone of the rest of the screen.

use chrono::NaiveDateTime;

use crate::model::clock::Millis;

const FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";
const ZONE: &str = " UTC";
/// Bytes of what stands before the zone, with and without milliseconds.
const WIDTHS: [usize; 2] = [23, 19];

/// `2026-11-20 02:31:40 UTC`: how a sentence names an instant that is kept, or that goes to another process.
pub fn mention(at: Millis) -> String {
    at.utc().format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// As [`mention`], with milliseconds where there are some.
pub fn mention_exact(at: Millis) -> String {
    match at.0.rem_euclid(1000) {
        0 => mention(at),
        _ => at.utc().format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string(),
    }
}

/// The sentence with each [`mention`] said in another way.
pub fn with_mentions(text: &str, say: impl Fn(Millis) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(end) = rest.find(ZONE) {
        let (before, after) = rest.split_at(end);
        let tail = after.get(ZONE.len()..).unwrap_or_default();
        let of_width = |width: usize| {
            let start = end.checked_sub(width)?;
            let at = NaiveDateTime::parse_from_str(before.get(start..)?, FORMAT).ok()?;
            Some((before.get(..start)?, at))
        };
        match WIDTHS.into_iter().find_map(of_width) {
            Some((lead, at)) => {
                out.push_str(lead);
                out.push_str(&say(Millis(at.and_utc().timestamp_millis())));
            }
            None => {
                out.push_str(before);
                out.push_str(ZONE);
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mentioned_is_said_in_another_way_and_nothing_else_is_touched() {
        let at = Millis(1_795_144_300_000);
        let text = format!(
            "gap from {} to {}; keep UTC, 12 UTC, ä2026-11-20 02:31:99 UTC",
            mention(at),
            mention(at)
        );
        let said = with_mentions(&text, |m| format!("<{}>", m.0 - at.0));
        assert_eq!(said, "gap from <0> to <0>; keep UTC, 12 UTC, ä2026-11-20 02:31:99 UTC");
        assert_eq!(with_mentions(&mention(at), mention), mention(at));
        let exact = mention_exact(Millis(at.0 + 7));
        assert!(exact.ends_with(".007 UTC"), "{exact}");
        assert_eq!(
            with_mentions(&format!("to {exact}"), |m| format!("<{}>", m.0 - at.0)),
            "to <7>"
        );
        assert_eq!(with_mentions(" UTC", |_| String::new()), " UTC");
        assert_eq!(
            with_mentions("日本語日本語日本語 UTC", |_| String::new()),
            "日本語日本語日本語 UTC"
        );
    }
}
