//! What applications notice: a workload at 30 % of its peak, alone, beside the log backup, and beside a snapshot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Bench;
use crate::run::high_water;
use crate::workload::{self, Outcome, Until};

const TIME: Duration = Duration::from_secs(10);

impl Bench {
    pub(crate) fn paced(&self) {
        println!("beside a workload");
        let run = |rate| workload::run(&self.source, self.rows / crate::TABLES, Until::Time(TIME, rate));
        let peak = run(None);
        println!("  peak {:.0} transactions/s, p99 {:.2} ms", peak.rate, peak.p99);
        let pace = Some(peak.rate * 0.3);
        let alone = run(pace);
        show("paced, alone", &alone, None);
        let mut agent = self.command("agent").spawn().unwrap();
        let logged = run(pace);
        show("with log backup", &logged, Some((&alone, 2.0)));
        let status = format!("/proc/{}/status", agent.id());
        let done = AtomicBool::new(false);
        let both = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    self.brine(&self.source, "backup create source");
                }
            });
            let both = run(pace);
            done.store(true, Ordering::SeqCst);
            both
        });
        show("with log backup and snapshots", &both, Some((&alone, 10.0)));
        let full = run(None);
        println!(
            "  peak with log backup {:.0} transactions/s, p99 {:.2} ms: {:.1} % less",
            full.rate,
            full.p99,
            100.0 * (1.0 - full.rate / peak.rate)
        );
        println!("  the agent's peak of memory: {} MB", high_water(&status));
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
}

fn show(what: &str, outcome: &Outcome, against: Option<(&Outcome, f64)>) {
    let loss = against.map_or_else(String::new, |(alone, goal)| {
        format!(
            "   loses {:.1} % (goal {goal})",
            100.0 * (1.0 - outcome.rate / alone.rate)
        )
    });
    println!(
        "  {what:<40} {:>7.0}/s  p99 {:>7.2} ms{loss}",
        outcome.rate, outcome.p99
    );
}
