//! `brine data`: the data of an embedded cluster, for demos, tests and learning.

use clap::{Args, Subcommand};

use super::{ConfirmArgs, values};
use crate::model::ids::ClusterName;
use crate::model::table::TableName;

/// `brine data`.
#[derive(Clone, Debug, Subcommand)]
pub enum DataCommand {
    /// List the tables
    #[command(after_help = "Example: brine data tables demo")]
    Tables {
        /// The cluster
        cluster: ClusterName,
    },
    /// Count the rows of every table
    #[command(after_help = "Example: brine data count demo")]
    Count {
        /// The cluster
        cluster: ClusterName,
    },
    /// Rows, bytes and checksum of every table, now or at a moment
    #[command(after_help = "Example: brine data checksum demo --at '10m ago' --json")]
    Checksum {
        /// The cluster
        cluster: ClusterName,
        /// At this moment
        #[arg(long, value_name = "T", value_parser = values::words)]
        at: Option<String>,
    },
    /// Write one row; makes the table where it is missing
    #[command(after_help = "Example: brine data put demo shop.notes greeting hello")]
    Put {
        /// The table
        #[command(flatten)]
        table: TableArgs,
        /// The row's key
        #[arg(allow_negative_numbers = true)]
        key: String,
        /// The row's value
        #[arg(allow_negative_numbers = true)]
        value: String,
    },
    /// Print one row's value
    #[command(after_help = "Example: brine data get demo shop.notes greeting")]
    Get {
        /// The table
        #[command(flatten)]
        table: TableArgs,
        /// The row's key
        #[arg(allow_negative_numbers = true)]
        key: String,
    },
    /// Delete one row
    #[command(after_help = "Example: brine data delete demo shop.notes greeting")]
    Delete {
        /// The table
        #[command(flatten)]
        table: TableArgs,
        /// The row's key
        #[arg(allow_negative_numbers = true)]
        key: String,
    },
    /// Print all rows of a table, now or at a moment
    #[command(after_help = "Example: brine data scan demo shop.notes --at 'today 14:05'")]
    Scan {
        /// The table
        #[command(flatten)]
        table: TableArgs,
        /// At this moment
        #[arg(long, value_name = "T", value_parser = values::words)]
        at: Option<String>,
    },
    /// Fill a table with generated rows
    #[command(after_help = "Example: brine data load demo shop.events --rows 100000 --size 200")]
    Load(LoadArgs),
    /// Drop a table
    #[command(after_help = "Example: brine data drop demo shop.notes")]
    Drop {
        /// The table
        #[command(flatten)]
        table: TableArgs,
        /// The answers; only a protected cluster asks
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Write orders at a steady rate
    #[command(after_help = "Example: brine data traffic demo --rate 50 --seconds 30")]
    Traffic(TrafficArgs),
}

/// One table of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct TableArgs {
    /// The cluster
    pub cluster: ClusterName,
    /// The table, as db.table
    #[arg(value_name = "DB.TABLE")]
    pub table: TableName,
}

/// `brine data load`.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// The table
    #[command(flatten)]
    pub table: TableArgs,
    /// How many rows
    #[arg(long, value_name = "N")]
    pub rows: u64,
    /// Bytes of a row's value
    #[arg(long, value_name = "BYTES", default_value = "200", value_parser = values::size)]
    pub size: u64,
    /// Repeat exactly the same rows
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// `brine data traffic`.
#[derive(Clone, Debug, Args)]
pub struct TrafficArgs {
    /// The cluster
    pub cluster: ClusterName,
    /// Transactions per second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// How long; without, until it is interrupted
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub seconds: Option<u64>,
}
