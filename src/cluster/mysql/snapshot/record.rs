//! Snapshot records: rows as the server sent them.
//!
//! A record is a length (u32, little endian) and the row: one length-encoded string per column, NULL as `0xFB`. The length
//! is that of the row alone. A row's checksum is over the row's bytes without the length.

use crate::cluster::ClusterError;
use crate::model::checksum::TableChecksum;

/// The bytes before a row.
pub const HEAD: usize = 4;

fn malformed(why: &str) -> ClusterError {
    ClusterError::Malformed {
        what: "a batch of rows",
        why: why.to_owned(),
    }
}

/// The rows of a batch of whole records, without their lengths; an error ends it.
pub fn rows(batch: &[u8]) -> impl Iterator<Item = Result<&[u8], ClusterError>> {
    let mut rest = batch;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((head, tail)) = rest.split_first_chunk::<HEAD>() else {
            rest = &[];
            return Some(Err(malformed("it ends within a record's length")));
        };
        let length = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX);
        let Some((row, tail)) = tail.split_at_checked(length) else {
            rest = &[];
            return Some(Err(malformed("it ends within a record")));
        };
        rest = tail;
        Some(Ok(row))
    })
}

/// Adds a row to a checksum. Every checksum of these servers' rows is made here.
pub fn add(sum: &mut TableChecksum, row: &[u8]) {
    sum.add_record(row);
}

/// Rows, bytes and checksum of a batch of whole records.
pub fn checksum(batch: &[u8]) -> Result<TableChecksum, ClusterError> {
    let mut sum = TableChecksum::default();
    for row in rows(batch) {
        add(&mut sum, row?);
    }
    Ok(sum)
}

/// The values of a row, in order; NULL is `None`. `None` at the end of the list when the row is malformed.
pub fn cells(row: &[u8]) -> Cells<'_> {
    Cells { rest: row }
}

/// Goes through the values of a row.
pub struct Cells<'a> {
    rest: &'a [u8],
}

impl<'a> Cells<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (cell, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(cell)
    }

    fn number<const N: usize>(&mut self) -> Option<u64> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        let length = match first {
            0xFB => return Some(None),
            0xFC => self.number::<2>(),
            0xFD => self.number::<3>(),
            0xFE => self.number::<8>(),
            0xFF => None,
            short => Some(u64::from(short)),
        };
        self.take(length?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(cells: &[Option<Vec<u8>>]) -> Vec<u8> {
        let mut row = Vec::new();
        for cell in cells {
            match cell {
                None => row.push(0xFB),
                Some(c) => {
                    match c.len() {
                        n @ 0..=250 => row.push(n as u8),
                        n @ 251..=0xFFFF => {
                            row.push(0xFC);
                            row.extend_from_slice(&(n as u16).to_le_bytes());
                        }
                        n => {
                            row.push(0xFD);
                            row.extend_from_slice(&(n as u32).to_le_bytes()[..3]);
                        }
                    }
                    row.extend_from_slice(c);
                }
            }
        }
        let mut out = (row.len() as u32).to_le_bytes().to_vec();
        out.extend(row);
        out
    }

    #[test]
    fn cells_of_every_length() {
        let values = vec![
            Some(vec![]),
            None,
            Some(vec![7; 250]),
            Some(vec![8; 251]),
            Some(vec![9; 70_000]),
        ];
        let batch = record(&values);
        let row = rows(&batch).next().unwrap().unwrap();
        let got: Vec<Option<Vec<u8>>> = cells(row).map(|c| c.map(<[u8]>::to_vec)).collect();
        assert_eq!(got, values);
    }

    #[test]
    fn cut_batches_are_errors() {
        let batch = [record(&[Some(b"a".to_vec())]), record(&[None])].concat();
        assert_eq!(checksum(&batch).unwrap().rows, 2);
        for cut in 1..batch.len() {
            // Cut between two records it is a whole batch.
            assert_eq!(checksum(&batch[..cut]).is_err(), cut != 6, "{cut}");
        }
    }

    #[test]
    fn order_does_not_matter_and_content_does() {
        let (a, b) = (record(&[Some(b"a".to_vec())]), record(&[Some(b"b".to_vec()), None]));
        let both = checksum(&[a.clone(), b.clone()].concat()).unwrap();
        assert_eq!(checksum(&[b.clone(), a.clone()].concat()).unwrap(), both);
        assert_ne!(checksum(&[a.clone(), a].concat()).unwrap(), both);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = checksum(&bytes);
            let _ = cells(&bytes).count();
        }
    }
}
