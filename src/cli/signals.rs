//! Ctrl-C and its relatives, as messages instead of sudden death.

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// A file that may not grow any further (`ulimit -f`) becomes an error of the write, which says what is full, instead of
/// sudden death.
pub(super) fn outlive_full_files() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    // The handler stays when nobody listens any more.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

/// Listens until the process ends. A hang-up is heard and ignored: losing the terminal must not lose the work.
pub(super) struct Signals(Receiver<()>);

impl Signals {
    /// Starts to listen for SIGINT and SIGTERM; from now on they no longer end the process by themselves.
    pub fn listen() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate, mut hang_up) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            )
        };
        let (send, receive) = crossbeam_channel::bounded(8);
        let listen = async move {
            loop {
                let heard = tokio::select! {
                    heard = interrupt.recv() => heard,
                    heard = terminate.recv() => heard,
                    _ = hang_up.recv() => continue,
                };
                // A full channel means that more were sent than anybody needs to hear of.
                let gone = send.try_send(()).is_err_and(|e| e.is_disconnected());
                if heard.is_none() || gone {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(listen))?;
        Ok(Signals(receive))
    }

    /// Whether somebody wants an end, waiting for it so long.
    pub fn within(&self, patience: Duration) -> bool {
        match self.0.recv_timeout(patience) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(patience);
                false
            }
        }
    }

    /// Waits until somebody wants an end.
    pub fn wait(&self) {
        while !self.within(Duration::from_secs(3600)) {}
    }
}
