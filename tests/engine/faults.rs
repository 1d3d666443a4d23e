//! A storage that fails at any call: an error or success, never a wrong success; and trying again works.

use std::sync::Arc;

use brine::storage::ErrorKind;
use brine::storage::faults::{Fault, FaultRule};

use crate::env::chain;
use crate::verbs::{Template, Verb};

/// Of many places, so many are tried, spread evenly; all with `BRINE_TEST_ALL`.
pub fn spread(places: u64, most: u64) -> Vec<u64> {
    let step = match std::env::var_os("BRINE_TEST_ALL") {
        Some(_) => 1,
        None => (places / most).max(1),
    };
    (1..=places).step_by(step as usize).collect()
}

fn every_call_fails(fault: Fault) {
    let template = Template::new();
    template.base_may_be_missing.set(true);
    for verb in Verb::ALL {
        let (w, faults) = template.faulty();
        faults.clear();
        template
            .run(verb, &w, &w.cx())
            .unwrap_or_else(|e| panic!("{verb:?}: {}", chain(&e)));
        let calls = faults.calls();
        println!("{verb:?}: {calls} calls");
        for n in spread(calls, 5) {
            let what = format!("{verb:?} with {fault:?} at call {n} of {calls}");
            let (w, faults) = template.faulty();
            faults.clear();
            faults.add(FaultRule {
                call: None,
                nth: n,
                times: 1,
                fault,
            });
            let resume = Arc::new(brine::engine::cx::MemoryResumeLog::default());
            let cx = w.cx().with_resume(resume.clone());
            let first = template.run(verb, &w, &cx);
            faults.clear();
            if let Err(e) = first {
                let cx = w.cx().with_resume(resume);
                template
                    .run(verb, &w, &cx)
                    .unwrap_or_else(|again| panic!("{what}: {}; then {}", chain(&e), chain(&again)));
            }
            template.check_done(verb, &w, &what);
            template.check_sound(&w, &what);
        }
    }
}

#[test]
fn any_call_may_fail() {
    every_call_fails(Fault::Fail(ErrorKind::Other));
}

#[test]
fn any_answer_may_be_lost() {
    every_call_fails(Fault::LostAnswer);
}
