//! Sizes: IEC text of a fixed width, and parsing.

/// `bytes` in at most eight characters: `999 B`, `41.2 GiB`, `1023 KiB`.
pub fn iec(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // 1023.5 would be shown as 1024.
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 99.95 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// Text that is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: write a number of bytes, or with a unit such as 64K, 10MiB or 1.5GB")]
pub struct BadSize(pub String);

/// Reads `123`, `64K`, `64KiB` (1024) and `64KB` (1000), upper or lower case.
pub fn parse(text: &str) -> Result<u64, BadSize> {
    let bad = || BadSize(super::text::safe(text, 40));
    let t = text.trim();
    let split = t.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(t.len());
    let (number, unit) = t.split_at(split);
    let value: f64 = number.parse().map_err(|_| bad())?;
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "ki" | "kib" => 1024.0,
        "m" | "mi" | "mib" => 1_048_576.0,
        "g" | "gi" | "gib" => 1_073_741_824.0,
        "t" | "ti" | "tib" => 1_099_511_627_776.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        _ => return Err(bad()),
    };
    let bytes = value * factor;
    if bytes.is_finite() && bytes < 9e18 {
        Ok(bytes.round() as u64)
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_at_most_eight_characters() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (44_238_540_800, "41.2 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(iec(bytes), text);
        }
        assert!((0..64).all(|i| iec(1u64 << i).len() <= 8 && iec((1u64 << i) - 1).len() <= 8));
    }

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("0", 0),
            ("64K", 65_536),
            ("1.5GB", 1_500_000_000),
            ("10 MiB", 10_485_760),
            ("7b", 7),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for bad in ["", "x", "-1", "1Q", "1..2", "1e9", "99999999T"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
