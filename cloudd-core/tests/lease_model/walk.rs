//! The depth-first search over the steps of the scheduler.

use std::collections::HashMap;
use std::fmt;
use std::time::Instant;

use tokio::runtime::Builder;

use super::Scenario;
use super::run::{Run, Step};

/// An execution that breaks an invariant, with all calls and their answers.
#[derive(Debug)]
pub(crate) struct Violation {
    what: String,
    trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, after these steps:", self.what)?;
        for (number, line) in self.trace.iter().enumerate() {
            write!(f, "\n{:4} {line}", number + 1)?;
        }
        Ok(())
    }
}

/// A state on the current path.
struct Frame {
    key: u64,
    steps: Vec<Step>,
    next: usize,
    /// The complete executions from here, by the steps that were walked.
    executions: u128,
}

/// Walks all executions of a scenario until one breaks an invariant, and prints how many there are.
pub(crate) fn walk(scenario: &Scenario) -> Option<Violation> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(search(scenario))
}

async fn search(scenario: &Scenario) -> Option<Violation> {
    // An execution is some dozens of calls. More than this means that it never ends.
    const LONGEST: usize = 400;
    let started = Instant::now();
    let mut path: Vec<Frame> = Vec::new();
    // The states that were left, with the number of complete executions from there.
    let mut known: HashMap<u64, u128> = HashMap::new();
    let (mut runs, mut choices) = (0u64, 0u64);
    let print = |runs, choices, states, executions: u128| {
        let bound = scenario.preemptions.map(|most| format!(", at most {most} preemptions"));
        println!(
            "{}{}: {executions} interleavings, {states} states, {choices} steps, {runs} runs, {:.1} s",
            scenario.name,
            bound.unwrap_or_default(),
            started.elapsed().as_secs_f64()
        );
    };
    loop {
        let mut run = Run::start(scenario).await;
        runs += 1;
        for frame in &path {
            run.take(&frame.steps[frame.next]).await;
        }
        let mut executions = loop {
            let steps = run.steps();
            let violation = run.violation().or_else(|| match &steps[..] {
                [] => run.final_violation(),
                [Step::LastRun] => run.violation_before_last_run(),
                _ if path.len() > LONGEST => Some("the builds do not end".to_owned()),
                _ => None,
            });
            if let Some(what) = violation {
                print(
                    runs,
                    choices,
                    known.len() + path.len(),
                    path.iter().map(|it| it.executions).sum(),
                );
                let trace = run.world.trace();
                run.end().await;
                return Some(Violation { what, trace });
            }
            if steps.is_empty() {
                break 1;
            }
            let key = run.key();
            if let Some(executions) = known.get(&key) {
                break *executions;
            }
            if path.iter().any(|frame| frame.key == key) {
                break 0;
            }
            choices += steps.len() as u64;
            run.take(&steps[0]).await;
            path.push(Frame { key, steps, next: 0, executions: 0 });
        };
        run.end().await;
        // To the last state that has a step which was not walked yet.
        loop {
            let Some(mut frame) = path.pop() else {
                print(runs, choices, known.len(), executions);
                return None;
            };
            frame.executions += executions;
            frame.next += 1;
            if frame.next < frame.steps.len() {
                path.push(frame);
                break;
            }
            executions = frame.executions;
            known.insert(frame.key, executions);
        }
    }
}
