//! Where to cut a key's space, from guesses of how many rows lie between two places: no server in here.

/// A guess may miss what is wanted by this part of it.
const TOLERANCE: u64 = 3;

/// Cuts (low, high] into steps of about `target` rows, and of these takes as many as are wanted, evenly.
pub(super) fn walk<E>(
    low: i128,
    high: i128,
    target: u64,
    parts: usize,
    rows: &mut dyn FnMut(i128, i128) -> Result<u64, E>,
) -> Result<Vec<i128>, E> {
    let mut cuts = Vec::new();
    let mut from = low;
    let mut width = ((high - low) / (parts as i128 * 2)).max(1);
    while from < high && cuts.len() < parts * 8 {
        let (mut least, mut most) = (from, None);
        let mut cut = (from + width).min(high);
        loop {
            let held = rows(from, cut)?;
            if held > target + target / TOLERANCE {
                most = Some(cut);
            } else if held < target - target / TOLERANCE && cut < high {
                least = cut;
            } else {
                break;
            }
            let next = match most {
                None => (from + (cut - from) * 2).min(high),
                Some(most) => least + (most - least) / 2,
            };
            if next == least || next == cut {
                break;
            }
            cut = next;
        }
        width = cut - from;
        from = cut;
        if cut < high {
            cuts.push(cut);
        }
    }
    // n cuts make n + 1 steps of the same size; so many of them make a part.
    let steps = cuts.len() + 1;
    let parts = parts.min(steps);
    Ok((1..parts)
        .filter_map(|part| cuts.get(steps * part / parts - 1).copied())
        .collect())
}

/// Which of the growing counts lie nearest to equal shares of all.
pub(super) fn quantiles(held: &[u64], all: u64, parts: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    for part in 1..parts as u64 {
        let wanted = (u128::from(all) * u128::from(part) / parts as u128) as u64;
        let nearest = held.iter().enumerate().min_by_key(|(_, h)| h.abs_diff(wanted));
        if let Some((at, &h)) = nearest
            && h > 0
            && h < all
            && chosen.last().is_none_or(|last| *last < at)
        {
            chosen.push(at);
        }
    }
    chosen
}

/// What two keys begin with alike.
pub(super) fn shared<'a>(low: &'a [u8], high: &[u8]) -> &'a [u8] {
    let alike = low.iter().zip(high).take_while(|(a, b)| a == b).count();
    low.get(..alike).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_lie_near_equal_shares() {
        // Sixteen hex digits, evenly used.
        let held: Vec<u64> = (1..=16).map(|n| n * 100).collect();
        assert_eq!(quantiles(&held, 1600, 4), [3, 7, 11]);
        // All in one place: one cut at most on each side of it.
        assert_eq!(quantiles(&[0, 0, 1000, 1000], 1000, 4), Vec::<usize>::new());
        assert_eq!(quantiles(&[0, 10, 990, 1000], 1000, 4), [1, 2]);
    }

    /// Walks over keys that are known, with the server's habit of cutting off at half the rows.
    fn parts_of(keys: &[i128], parts: usize) -> (Vec<i128>, usize) {
        let mut asked = 0;
        let mut rows = |from: i128, to: i128| {
            asked += 1;
            let held = keys.iter().filter(|k| **k > from && **k <= to).count();
            Ok::<u64, ()>(held.clamp(1, keys.len() / 2) as u64)
        };
        let target = (keys.len() / (parts * 2)).max(1) as u64;
        let cuts = walk(keys[0] - 1, keys[keys.len() - 1], target, parts, &mut rows).unwrap();
        (cuts, asked)
    }

    fn largest_share(keys: &[i128], cuts: &[i128]) -> f64 {
        assert!(cuts.windows(2).all(|w| w[0] < w[1]), "{cuts:?}");
        let mut ends = cuts.to_vec();
        ends.push(i128::MAX);
        let mut from = i128::MIN;
        let mut largest = 0;
        for to in ends {
            largest = largest.max(keys.iter().filter(|k| **k > from && **k <= to).count());
            from = to;
        }
        largest as f64 / keys.len() as f64
    }

    #[test]
    fn dense_sparse_and_skewed_keys_are_cut_evenly() {
        let dense: Vec<i128> = (1..=4000).collect();
        let squares: Vec<i128> = (1..=4000).map(|n: i128| n * n * 1_000_003).collect();
        let mut far: Vec<i128> = (1..=4000).map(|n| n * 7).collect();
        far.insert(0, i128::from(i64::MIN));
        far.push(i128::from(i64::MAX));
        let two: Vec<i128> = (1..=2000).chain(9_000_000_000_000..9_000_000_002_000).collect();
        for keys in [dense, squares, far, two] {
            for parts in [2, 3, 8] {
                let (cuts, asked) = parts_of(&keys, parts);
                assert!(cuts.len() < parts && asked < 100 * parts * 2, "{cuts:?} {asked}");
                let share = largest_share(&keys, &cuts);
                assert!(share < 1.9 / parts as f64, "{parts}: {share} {cuts:?}");
            }
        }
    }

    #[test]
    fn few_keys_make_few_cuts() {
        assert!(parts_of(&[5, 6], 8).0.len() < 2);
        assert!(parts_of(&[5, 5], 4).0.is_empty());
    }

    #[test]
    fn keys_share_a_beginning() {
        assert_eq!(shared(b"user:001", b"user:777"), b"user:");
        assert_eq!(shared(b"", b"x"), b"");
    }
}
