use serde_json::{Value, json};

use super::Memory;
use crate::guest::{FailureReason, GuestEvent, Step, StepState};
use crate::provider::{PowerState, VmId, keys};

/// The behaviour of the guests of a [`Memory`] after their start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuestScript {
    /// Both stages succeed and the guest powers the VM off.
    Succeeds,
    /// The guest reports a failure in this step, and the VM keeps running.
    FailsIn {
        /// The step.
        step: Step,
        /// The reported reason.
        reason: FailureReason,
        /// The reported exit code.
        exit: Option<i32>,
    },
    /// The power of the VM is cut in this step.
    PoweredOffIn(Step),
    /// The guest sends no events after the start of this step.
    HangsIn(Step),
    /// The guest sends no events.
    Silent,
}

impl GuestScript {
    const STAGE1: [Step; 6] =
        [Step::Prepare, Step::Fetch, Step::Build, Step::Run, Step::Check, Step::Arm];
    const STAGE2: [Step; 4] = [Step::Identify, Step::Zero, Step::Copy, Step::Verify];

    /// The actions of the guest from the start of the VM, in order.
    fn acts(&self) -> Vec<Act> {
        let mut acts = vec![];
        if *self == Self::Silent {
            return acts;
        }
        for (from, steps) in [("stage1", &Self::STAGE1[..]), ("stage2", &Self::STAGE2[..])] {
            acts.push(Act::Say(from, json!({"event": "hello"})));
            for step in steps {
                acts.push(Act::Say(from, transition(*step, StepState::Start, None)));
                match self {
                    Self::FailsIn { step: at, reason, exit } if at == step => {
                        let log = json!({"event": "log", "step": step, "line": "about to fail"});
                        let failed = json!({
                            "event": "failed", "reason": reason, "exit": exit,
                            "message": format!("the step {step} failed"),
                        });
                        acts.extend([Act::Say(from, log), Act::Say(from, failed)]);
                        return acts;
                    }
                    Self::PoweredOffIn(at) if at == step => {
                        acts.push(Act::PowerOff);
                        return acts;
                    }
                    Self::HangsIn(at) if at == step => return acts,
                    _ => acts.push(Act::Say(from, transition(*step, StepState::End, Some(0)))),
                }
            }
            if from == "stage1" {
                acts.push(Act::Say(from, json!({"event": "armed", "entry": "exitrd"})));
            }
        }
        acts.extend([Act::Say("stage2", json!({"event": "done"})), Act::PowerOff]);
        acts
    }
}

enum Act {
    Say(&'static str, Value),
    PowerOff,
}

fn transition(step: Step, state: StepState, exit: Option<i32>) -> Value {
    json!({"event": "step", "step": step, "state": state, "exit": exit})
}

/// Runs the guest of a VM until it has finished or the VM does not run any more.
pub(super) async fn play(memory: Memory, vm: VmId) {
    let mut said = [("stage1", 0u64), ("stage2", 0)];
    for act in memory.script.acts() {
        tokio::time::sleep(memory.pace).await;
        let running = memory.change(|state| {
            let Some(record) = state.vms.get_mut(&vm) else { return false };
            if record.vm.state != PowerState::Running {
                return false;
            }
            match act {
                Act::PowerOff => record.vm.state = PowerState::Off,
                Act::Say(from, mut event) => {
                    let Some((_, seq)) = said.iter_mut().find(|(source, _)| *source == from) else {
                        return false;
                    };
                    *seq += 1;
                    event["cloudd"] = GuestEvent::VERSION.into();
                    event["build"] = record.vm.labels.get(keys::BUILD).into();
                    event["from"] = from.into();
                    event["seq"] = (*seq).into();
                    record.said.extend(event.to_string().into_bytes());
                    record.said.push(b'\n');
                }
            }
            true
        });
        if !running {
            return;
        }
    }
}
