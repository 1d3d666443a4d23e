//! Background work steps back: jobs that can wait run at a lower priority than applications and the console.

/// Nice value of background jobs; the default is 0, the least urgent 19.
const NICE: i32 = 10;

/// Lowers the priority of the calling thread and of those it starts from now on.
///
/// Only Linux has priorities per thread; elsewhere, and where the system refuses, the work goes on as it is.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICE);
    #[cfg(not(target_os = "linux"))]
    let _ = NICE;
}
