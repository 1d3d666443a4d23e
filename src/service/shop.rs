//! A made-up shop: tables, orders and accidents, for learning, for tests and for the demo.
//!
//! Everything it does goes through an ordinary session, as an application's would. The same seed makes
//! the same shop.

use std::ops::Bound;
use std::sync::Arc;

use crate::cluster::ClusterError;
use crate::cluster::embedded::{EmbeddedCluster, Session};
use crate::model::table::TableName;
use crate::model::tso::Tso;
use crate::service::desk::Accident;

/// Rows of one transaction while the shop is being filled.
const BATCH: u64 = 500;
/// Products on sale.
const PRODUCTS: u64 = 1_200;
/// Customers at the start.
const CUSTOMERS: u64 = 600;

/// `shop.<name>`
pub fn table(name: &str) -> TableName {
    TableName::new("shop", name)
}

/// The tables and their schemas.
const TABLES: [(&str, &str); 6] = [
    ("counters", r#"{"key":"name","value":["next"]}"#),
    ("customers", r#"{"key":"id","value":["name","city"]}"#),
    ("products", r#"{"key":"id","value":["name","price","stock"]}"#),
    ("orders", r#"{"key":"id","value":["customer","total","status"]}"#),
    (
        "order_items",
        r#"{"key":["order","line"],"value":["product","amount","price"]}"#,
    ),
    ("sessions", r#"{"key":"id","value":["customer","seen"]}"#),
];

const NAMES: [&str; 16] = [
    "Ada", "Bela", "Chidi", "Dana", "Emre", "Fatou", "Goran", "Hana", "Ilir", "June", "Kofi", "Lena", "Mika", "Noor",
    "Ovid", "Pia",
];
const CITIES: [&str; 8] = ["Berlin", "Lagos", "Lima", "Osaka", "Oslo", "Pune", "Quito", "Turin"];
const GOODS: [&str; 12] = [
    "kettle",
    "lamp",
    "notebook",
    "bicycle bell",
    "teapot",
    "headphones",
    "desk",
    "raincoat",
    "atlas",
    "mug",
    "scarf",
    "clock",
];
/// What becomes of an order after it was new.
const LATER_STATES: [&str; 3] = ["paid", "packed", "sent"];

/// The shop's own memory: only its dice.
pub struct Shop {
    dice: fastrand::Rng,
}

impl Shop {
    /// A shop whose dice start from a seed.
    pub fn new(seed: u64) -> Self {
        Shop {
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    /// Creates the tables that are missing and fills an empty shop with `orders` orders.
    pub fn open(&mut self, cluster: &Arc<EmbeddedCluster>, orders: u64) -> Result<(), ClusterError> {
        let session = cluster.session("shop")?;
        for (name, schema) in TABLES {
            match session.create_table(&table(name), schema) {
                Ok(_) | Err(ClusterError::TableExists(_)) => {}
                Err(e) => return Err(e),
            }
        }
        if session.get(&table("counters"), b"orders")?.is_none() {
            self.stock(&session)?;
            self.history(&session, orders)?;
        }
        Ok(())
    }

    fn stock(&mut self, session: &Session) -> Result<(), ClusterError> {
        let mut tx = session.begin()?;
        for id in 0..PRODUCTS {
            let (goods, price) = (self.pick(&GOODS), 5 + self.dice.u64(0..195));
            let value = format!(
                r#"{{"name":"{goods} no. {id}","price":{price},"stock":{}}}"#,
                50 + self.dice.u32(0..500)
            );
            tx.put(&table("products"), format!("{id:06}").as_bytes(), value.as_bytes())?;
        }
        for id in 0..CUSTOMERS {
            let (name, city) = (self.pick(&NAMES), self.pick(&CITIES));
            let value = format!(r#"{{"name":"{name} {id}","city":"{city}"}}"#);
            tx.put(&table("customers"), format!("{id:08}").as_bytes(), value.as_bytes())?;
        }
        tx.put(&table("counters"), b"orders", b"1")?;
        tx.commit().map(|_| ())
    }

    fn history(&mut self, session: &Session, orders: u64) -> Result<(), ClusterError> {
        let mut id = 1;
        while id <= orders {
            let mut tx = session.begin()?;
            let end = (id + BATCH).min(orders + 1);
            for order in id..end {
                for (table, key, value) in self.one_order(order, "sent") {
                    tx.put(&table, key.as_bytes(), value.as_bytes())?;
                }
            }
            tx.put(&table("counters"), b"orders", end.to_string().as_bytes())?;
            tx.commit()?;
            id = end;
        }
        Ok(())
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        self.dice.choice(words).copied().unwrap_or_default()
    }

    /// The rows of one order.
    fn one_order(&mut self, id: u64, status: &str) -> Vec<(TableName, String, String)> {
        let lines = 1 + self.dice.u64(0..4);
        let mut total = 0;
        let mut rows = Vec::new();
        for line in 0..lines {
            let (product, amount, price) = (
                self.dice.u64(0..PRODUCTS),
                1 + self.dice.u64(0..3),
                5 + self.dice.u64(0..195),
            );
            total += amount * price;
            let value = format!(r#"{{"product":"{product:06}","amount":{amount},"price":{price}}}"#);
            rows.push((table("order_items"), format!("{id:010}-{line:02}"), value));
        }
        let customer = self.dice.u64(0..CUSTOMERS);
        let value = format!(r#"{{"customer":"{customer:08}","total":{total},"status":"{status}"}}"#);
        rows.push((table("orders"), format!("{id:010}"), value));
        rows
    }

    /// One thing that happens in a shop: mostly a new order, sometimes an old one moves on. Returns its commit.
    pub fn trade(&mut self, session: &Session) -> Result<Tso, ClusterError> {
        let mut tx = session.begin()?;
        let next = tx
            .get(&table("counters"), b"orders")?
            .and_then(|v| String::from_utf8(v).ok()?.parse().ok())
            .unwrap_or(1);
        if next > 1 && self.dice.u8(0..10) < 3 {
            let back = 1 + self.dice.u64(0..next.min(200));
            let key = format!("{:010}", next.saturating_sub(back));
            let status = self.pick(&LATER_STATES);
            if let Some(value) = tx.get(&table("orders"), key.as_bytes())? {
                let value = String::from_utf8_lossy(&value).into_owned();
                let kept = value.split(r#","status""#).next().unwrap_or("{").to_owned();
                tx.put(
                    &table("orders"),
                    key.as_bytes(),
                    format!(r#"{kept},"status":"{status}"}}"#).as_bytes(),
                )?;
                return tx.commit();
            }
        }
        for (table, key, value) in self.one_order(next, "new") {
            tx.put(&table, key.as_bytes(), value.as_bytes())?;
        }
        let visitor = format!("{:06}", self.dice.u32(0..2_000));
        tx.put(
            &table("sessions"),
            visitor.as_bytes(),
            format!(r#"{{"seen":{next}}}"#).as_bytes(),
        )?;
        tx.put(&table("counters"), b"orders", (next + 1).to_string().as_bytes())?;
        tx.commit()
    }
}

/// Lets an accident happen, as a careless operator or a bad release would.
pub fn accident(session: &Session, kind: Accident) -> Result<Tso, ClusterError> {
    match kind {
        Accident::DropTable => session.drop_table(&table("orders")),
        Accident::MassDelete => change_all(session, "orders", |n, _| (n % 10 != 0).then_some(None)),
        Accident::BadUpdate => change_all(session, "products", |_, value| {
            let (head, tail) = value.split_once(r#""price":"#)?;
            let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
            Some(Some(format!(r#"{head}"price":0{tail}"#)))
        }),
    }
}

/// Goes over a whole table in one transaction: `change` says what becomes of the n-th row (`Some(None)` deletes it).
fn change_all(
    session: &Session,
    name: &str,
    change: impl Fn(usize, &str) -> Option<Option<String>>,
) -> Result<Tso, ClusterError> {
    let mut tx = session.begin()?;
    let mut after: Bound<Vec<u8>> = Bound::Unbounded;
    let mut n = 0;
    loop {
        let rows = tx.scan(&table(name), after.as_ref().map(Vec::as_slice), 1_000)?;
        let Some((last, _)) = rows.last() else {
            return tx.commit();
        };
        after = Bound::Excluded(last.clone());
        for (key, value) in &rows {
            match change(n, &String::from_utf8_lossy(value)) {
                Some(Some(new)) => tx.put(&table(name), key, new.as_bytes())?,
                Some(None) => tx.delete(&table(name), key)?,
                None => {}
            }
            n += 1;
        }
    }
}
