//! A desk behind the control socket: passes every question to the process that holds the lease.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::desk::{Answer, Desk, Question, Refusal, RefusalKind};
use super::local::LocalDesk;
use super::refusal::{chain, failed};
use crate::jobs::socket::{Client, Handler, SocketError};

/// How long an ordinary question may take: a flush or a bulk load is one question.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How much longer than asked a waiting question may take.
const SLACK: Duration = Duration::from_secs(30);

/// A question on its way, with who asks.
#[derive(Serialize, Deserialize)]
struct Envelope {
    by: String,
    read_only: bool,
    question: Question,
}

/// Asks the process that holds the lease of a data directory.
pub struct RemoteDesk {
    data_dir: PathBuf,
    by: String,
    read_only: bool,
    /// Connections that are not in use; several threads may ask at once.
    idle: Mutex<Vec<Client>>,
}

impl RemoteDesk {
    /// Connects.
    pub fn connect(data_dir: &Path, by: &str, read_only: bool) -> Result<RemoteDesk, Refusal> {
        let first = Client::connect(data_dir).map_err(of_socket)?;
        Ok(RemoteDesk {
            data_dir: data_dir.to_owned(),
            by: by.to_owned(),
            read_only,
            idle: Mutex::new(vec![first]),
        })
    }
}

fn patience(question: &Question) -> Duration {
    match question {
        Question::WaitJob { timeout_ms, .. } | Question::Pulse { timeout_ms, .. } => {
            Duration::from_millis(*timeout_ms) + SLACK
        }
        _ => PATIENCE,
    }
}

impl Desk for RemoteDesk {
    fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        let patience = patience(&question);
        let envelope = Envelope {
            by: self.by.clone(),
            read_only: self.read_only,
            question,
        };
        let asked =
            serde_json::to_value(&envelope).map_err(|e| failed(format!("the question cannot be written down: {e}")))?;
        let idle = self.idle.lock().pop();
        let client = match idle {
            Some(client) => client,
            None => Client::connect(&self.data_dir).map_err(of_socket)?,
        };
        let answer = client.ask(&asked, patience);
        match answer {
            Ok(value) => {
                self.idle.lock().push(client);
                serde_json::from_value(value).map_err(|e| failed(format!("the answer cannot be read: {e}")))
            }
            Err(SocketError::Answered(error)) => {
                self.idle.lock().push(client);
                Err(serde_json::from_value(error)
                    .unwrap_or_else(|e| failed(format!("the refusal cannot be read: {e}"))))
            }
            Err(e) => Err(of_socket(e)),
        }
    }
}

fn of_socket(e: SocketError) -> Refusal {
    Refusal {
        kind: RefusalKind::Failed,
        chain: chain(&e),
        hint: None,
    }
}

/// Answers what comes in by the socket from the desk of this process.
pub(super) struct Served(pub Arc<LocalDesk>);

impl Handler for Served {
    fn handle(&self, request: Value) -> Result<Value, Value> {
        let refuse = |r: Refusal| serde_json::to_value(r).unwrap_or_default();
        let envelope: Envelope =
            serde_json::from_value(request).map_err(|e| refuse(failed(format!("the question cannot be read: {e}"))))?;
        let desk = self.0.for_user(&envelope.by, envelope.read_only);
        let answer = desk.ask(envelope.question).map_err(refuse)?;
        serde_json::to_value(answer).map_err(|e| refuse(failed(format!("the answer cannot be written down: {e}"))))
    }
}
