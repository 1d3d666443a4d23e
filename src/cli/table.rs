//! Lines in columns.

/// Rows under their heads, two blanks between columns; the columns named in `right` are aligned right.
///
/// A column that is empty in every row is left out.
pub(super) fn columns(heads: &[&str], right: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let cell = |row: &[String], at: usize| row.get(at).cloned().unwrap_or_default();
    let shown: Vec<usize> = (0..heads.len())
        .filter(|at| rows.iter().any(|row| !cell(row, *at).is_empty()))
        .collect();
    let head: Vec<String> = heads.iter().map(|h| (*h).to_owned()).collect();
    let all = || std::iter::once(head.as_slice()).chain(rows.iter().map(Vec::as_slice));
    let width = |at: usize| all().map(|row| cell(row, at).chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = shown.iter().map(|at| width(*at)).collect();
    let line = |row: &[String]| {
        let cells = shown.iter().zip(&widths).map(|(at, width)| {
            let text = cell(row, *at);
            match heads.get(*at).is_some_and(|h| right.contains(h)) {
                true => format!("{text:>width$}"),
                false => format!("{text:<width$}"),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect()
}

/// Names with their values; values that are empty are left out.
pub(super) fn pairs(list: &[(&str, String)]) -> Vec<String> {
    let shown = || list.iter().filter(|(_, value)| !value.is_empty());
    let width = shown().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    shown()
        .map(|(name, value)| format!("{name:<width$}  {value}"))
        .collect()
}

/// Lines, each two blanks to the right.
pub(super) fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("  {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_empty_ones_are_left_out() {
        let rows = [["a", "1", ""], ["longer", "22", ""]].map(|r| r.map(str::to_owned).to_vec());
        let lines = columns(&["NAME", "N", "NOTE"], &["N"], &rows);
        assert_eq!(lines, ["NAME     N", "a        1", "longer  22"]);
    }

    #[test]
    fn pairs_are_aligned_and_empty_values_left_out() {
        let lines = pairs(&[("a", "1".into()), ("none", String::new()), ("bcd", "2".into())]);
        assert_eq!(lines, ["a    1", "bcd  2"]);
    }
}
