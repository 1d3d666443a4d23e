//! The one connection that is kept for short questions, and what was learned with it.
//!
//! *Invariant: a connection that gave an error of the connection itself is thrown away, and the question is asked once more
//! on a new one; an error of the server is the answer.*

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::core::Core;
use super::wire::{Conn, WireError};
use crate::cluster::{ClusterError, TableFacts};

/// For so long an estimate of sizes is good enough: asking costs a big server seconds.
const ESTIMATES_FOR: Duration = Duration::from_secs(60);

/// What is kept between questions.
#[derive(Default)]
pub(super) struct Control {
    idle: Mutex<Option<Conn>>,
    estimates: Mutex<Option<(Instant, Vec<TableFacts>)>>,
}

impl Core {
    /// Asks something short on the kept connection; `doing` is for the error.
    pub fn ask<T>(&self, doing: &str, question: impl Fn(&mut Conn) -> Result<T, WireError>) -> Result<T, ClusterError> {
        let mut idle = self.control.idle.lock();
        if let Some(mut conn) = idle.take() {
            match question(&mut conn) {
                Ok(answer) => {
                    *idle = Some(conn);
                    return Ok(answer);
                }
                Err(e) if e.code().is_some() => {
                    *idle = Some(conn);
                    return Err(e.doing(doing));
                }
                // It may have been lost while it was idle.
                Err(_) => {}
            }
        }
        let mut conn = self.connect()?;
        let answer = question(&mut conn);
        if answer.as_ref().err().is_none_or(|e| e.code().is_some()) {
            *idle = Some(conn);
        }
        answer.map_err(|e| e.doing(doing))
    }

    /// The tables with their sizes, not older than a minute; `read` gets them anew.
    pub fn estimates(
        &self,
        read: impl FnOnce() -> Result<Vec<TableFacts>, ClusterError>,
    ) -> Result<Vec<TableFacts>, ClusterError> {
        if let Some((at, tables)) = &*self.control.estimates.lock()
            && at.elapsed() < ESTIMATES_FOR
        {
            return Ok(tables.clone());
        }
        let tables = read()?;
        *self.control.estimates.lock() = Some((Instant::now(), tables.clone()));
        Ok(tables)
    }

    /// Forgets the sizes: the tables have changed.
    pub fn forget_estimates(&self) {
        *self.control.estimates.lock() = None;
    }
}
