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

/// Columns that give way where lines would be wider than the terminal: first those that may be left out, in their order,
/// then the wide ones are cut.
pub(super) struct Fit<'a> {
    /// The terminal's width; none where output is no terminal, and everything is written out.
    pub width: Option<usize>,
    /// Columns that may be left out, the least useful first.
    pub spare: &'a [&'a str],
    /// Columns that may be cut, the longest first.
    pub cut: &'a [&'a str],
}

/// A cut cell keeps this much.
const LEAST: usize = 12;

/// As [`columns`], within a width.
pub(super) fn fitted(heads: &[&str], right: &[&str], rows: &[Vec<String>], fit: &Fit<'_>) -> Vec<String> {
    let widest = |lines: &[String]| lines.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let mut lines = columns(heads, right, rows);
    let Some(width) = fit.width else { return lines };
    let mut rows = rows.to_vec();
    let place = |head: &str| heads.iter().position(|h| *h == head);
    for cut in fit.cut.iter().filter_map(|h| place(h)) {
        let over = widest(&lines).saturating_sub(width);
        if over == 0 {
            return lines;
        }
        let longest = rows.iter().filter_map(|r| r.get(cut)).map(|c| c.chars().count()).max();
        let most = longest.unwrap_or(0).saturating_sub(over).max(LEAST);
        for cell in rows.iter_mut().filter_map(|r| r.get_mut(cut)) {
            if cell.chars().count() > most {
                *cell = cell.chars().take(most.saturating_sub(2)).collect::<String>() + "..";
            }
        }
        lines = columns(heads, right, &rows);
    }
    for spare in fit.spare.iter().filter_map(|h| place(h)) {
        if widest(&lines) <= width {
            break;
        }
        rows.iter_mut().filter_map(|r| r.get_mut(spare)).for_each(String::clear);
        lines = columns(heads, right, &rows);
    }
    lines
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
    fn wide_lines_give_way_to_the_terminal() {
        let row = [
            "470584237490176000",
            "1h20m",
            "ALTER TABLE shop.orders ADD COLUMN note text",
            "12.0 KiB",
        ];
        let rows = vec![row.map(str::to_owned).to_vec()];
        let heads = ["ID", "AGE", "CHANGE", "LOG"];
        let fit = |width| Fit {
            width,
            spare: &["LOG", "AGE"],
            cut: &["CHANGE"],
        };
        assert_eq!(fitted(&heads, &[], &rows, &fit(None)), columns(&heads, &[], &rows));
        assert_eq!(fitted(&heads, &[], &rows, &fit(Some(100))), columns(&heads, &[], &rows));
        for width in [35, 45, 60] {
            let lines = fitted(&heads, &[], &rows, &fit(Some(width)));
            assert!(lines.iter().all(|l| l.chars().count() <= width), "{lines:?}");
            assert!(
                lines[1].starts_with("470584237490176000  ") && lines[1].contains("ALTER TABL"),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn pairs_are_aligned_and_empty_values_left_out() {
        let lines = pairs(&[("a", "1".into()), ("none", String::new()), ("bcd", "2".into())]);
        assert_eq!(lines, ["a    1", "bcd  2"]);
    }
}
