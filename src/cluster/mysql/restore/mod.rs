//! Building databases from a backup beside the live ones, and switching to them.
//!
//! Reading downwards: [`building`] is the restorer; [`load`] fills a table through [`insert`], [`together`] many small ones;
//! [`linking`] links tables; [`publish`] works out the [`steps`] of the switch, among them [`rename`], [`programs`] and
//! [`accounts`] (with a [`ledger`] of what the log did to them, read by their [`wording`], and to [`routines`]), minding [`links`]
//! to other tables ([`outside`] ones too, and what [`cascades`]), [`merges`], [`own_directories`] and [`live`]
//! programs; [`back`] goes back while that is possible; [`state`] is what a restore remembers on the server that it writes;
//! [`names`] says where things are built.
//!
//! Everything is built in databases of its own (`_brine_<n>_<k>`, one for each database of the source), where the log is
//! replayed too. The live tables are touched only by the switch, whose steps are written down first. A failure before they
//! have moved leaves the server as it was; after that there is only one way, forward, and whoever asks for the restore of
//! that id goes on with it.
//!
//! *Invariant: nothing of a restore reaches the server's own log but the marker, see [`super::binlog::write_marker`].*

mod accounts;
mod back;
mod building;
mod cascades;
mod computed;
mod insert;
mod ledger;
mod linking;
mod links;
mod live;
mod load;
mod merges;
mod names;
mod outside;
mod own_directories;
mod programs;
mod publish;
mod read_back;
mod rename;
mod replay;
mod roles;
mod routines;
pub(super) mod session;
mod stand_in;
mod state;
mod steps;
mod together;
mod waiting;
mod wording;

use std::sync::Arc;

use super::core::Core;
use crate::cluster::{ClusterError, RestoreAsk, Restorer};
pub(in crate::cluster::mysql) use cascades::past_filter as cascades_past;
pub(in crate::cluster::mysql) use names::refused as refused_name;

/// Starts a restore, or goes on with the one of that id.
pub(super) fn open(core: &Arc<Core>, ask: &RestoreAsk) -> Result<Box<dyn Restorer>, ClusterError> {
    Ok(Box::new(building::Building::open(core, ask)?))
}
