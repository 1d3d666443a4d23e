//! The same work on many tables, by two threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::cluster::ClusterError;

/// Calls `work` for each item and returns the results in the order of the items, or the first error.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, ClusterError> + Sync,
) -> Result<Vec<R>, ClusterError> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<R, ClusterError>)>> = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(n) else { return };
            let result = work(item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done.lock().push((n, result));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
    let mut done = done.into_inner();
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_and_the_first_error() {
        let items: Vec<u64> = (0..100).collect();
        assert_eq!(each(&items, |n| Ok(n * 2)).unwrap()[99], 198);
        let fail = |n: &u64| match n {
            50 => Err(ClusterError::Closed("no".into())),
            n => Ok(*n),
        };
        assert!(each(&items, fail).is_err());
    }
}
