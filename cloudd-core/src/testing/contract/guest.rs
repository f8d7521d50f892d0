//! The guest: what it sends through the channel, and what it prints on its console.

use std::time::Duration;

use tokio::time::{timeout, timeout_at};

use super::harness::Harness;
use crate::guest::{EventBody, GuestChannel, GuestEvent};
use crate::provider::{Result, VmId};
use crate::retry::Backoff;

/// The page that the failures of these checks refer to.
const GUIDE: &str = "cloudd_core::guide::boot_is_silent";

/// How long `receive` is watched before the first start of a VM.
const BEFORE_START: Duration = Duration::from_millis(500);

pub(super) async fn channel_as_promised(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    let channel = harness.provider.open_channel(&vm.id).await?;
    assert_eq!(
        channel.is_some(),
        harness.provider.capabilities().channel,
        "whether `open_channel` returns a channel (left) has to agree with `Capabilities::channel` \
         (right)"
    );
    Ok(())
}

pub(super) async fn hello(harness: Harness<'_>) -> Result<()> {
    let vm = harness.started_vm().await?;
    Listener::open(&harness, &vm.id).await?.until_hello().await
}

pub(super) async fn channel_before_start(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    let mut listener = Listener::open(&harness, &vm.id).await?;
    if let Ok(received) = timeout(BEFORE_START, listener.channel.receive()).await {
        panic!(
            "`receive` returned {received:?} before the first start of its VM; it waits until the \
             guest sends something"
        );
    }
    harness.provider.start_vm(&vm.id, &harness.silent).await?;
    listener.until_hello().await
}

pub(super) async fn channel_after_power_off(harness: Harness<'_>) -> Result<()> {
    let vm = harness.started_vm().await?;
    let mut listener = Listener::open(&harness, &vm.id).await?;
    listener.until_hello().await?;
    harness.wait_vm_off(&vm.id).await?;
    listener.until_end().await?;
    let mut late = Listener::open(&harness, &vm.id).await?;
    late.until_end().await?;
    assert!(
        late.has_hello(),
        "a channel that was opened after power-off does not begin with the first byte that the \
         guest sent, it gave {:?}",
        late.text()
    );
    Ok(())
}

pub(super) async fn console(harness: Harness<'_>) -> Result<()> {
    let vm = harness.started_vm().await?;
    expect_console(&harness, &vm.id, "the builder VM").await
}

/// Waits until the console of a VM shows the text of the fixture.
pub(super) async fn expect_console(harness: &Harness<'_>, vm: &VmId, which: &str) -> Result<()> {
    let expected = harness.fixture.console_text.as_deref().unwrap_or_default();
    let mut shown = Vec::new();
    let wait = async {
        for pause in Backoff::STEADY.pauses() {
            shown = harness.provider.console(vm).await?;
            if !shown.is_empty() && String::from_utf8_lossy(&shown).contains(expected) {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
        }
        Ok(())
    };
    if let Ok(found) = timeout_at(harness.deadline, wait).await {
        return found;
    }
    let state = harness.provider.vm(vm).await?.map(|vm| vm.state);
    panic!(
        "the console of {which} does not show {}: it shows {:?}, and the state of the VM is \
         {state:?}. Where to look: does the guest print on the port that `console` reads \
         (`console=ttyS0` on the kernel's command line), does the VM boot from the right disk? See \
         {GUIDE}, section \"Console\"",
        if expected.is_empty() { "anything".to_owned() } else { format!("{expected:?}") },
        tail(&shown),
    );
}

/// Reads the channel of a VM and keeps what it has read.
struct Listener<'h, 'a> {
    harness: &'h Harness<'a>,
    vm: VmId,
    channel: Box<dyn GuestChannel>,
    received: Vec<u8>,
}

impl<'h, 'a> Listener<'h, 'a> {
    async fn open(harness: &'h Harness<'a>, vm: &VmId) -> Result<Self> {
        let Some(channel) = harness.provider.open_channel(vm).await? else {
            panic!("`open_channel` returned no channel, and `Capabilities::channel` is true");
        };
        Ok(Self { harness, vm: vm.clone(), channel, received: Vec::new() })
    }

    /// Reads until the guest has sent `hello`.
    async fn until_hello(&mut self) -> Result<()> {
        let mut ended = false;
        while !self.has_hello() {
            match timeout_at(self.harness.deadline, self.channel.receive()).await {
                Ok(Ok(Some(bytes))) => self.received.extend(bytes),
                Ok(Ok(None)) => ended = true,
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let received = self.text();
                    let cause = "the deadline passed";
                    panic!("{}", silence(self.harness, &self.vm, &received, cause).await)
                }
            }
            if ended && !self.has_hello() {
                let received = self.text();
                let cause = "the channel ended";
                panic!("{}", silence(self.harness, &self.vm, &received, cause).await);
            }
        }
        Ok(())
    }

    /// Reads until the channel ends, which it does once its VM is off.
    async fn until_end(&mut self) -> Result<()> {
        loop {
            match timeout_at(self.harness.deadline, self.channel.receive()).await {
                Ok(Ok(Some(bytes))) => self.received.extend(bytes),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => panic!(
                    "`receive` still waits although the VM has gone off: after power-off it gives \
                     what the guest sent and then `None`"
                ),
            }
        }
    }

    /// Whether a complete line is a `hello` of any build: a guest that is part of its base image
    /// cannot know the build id.
    fn has_hello(&self) -> bool {
        let complete = self.received.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let text = String::from_utf8_lossy(&self.received[..complete]);
        text.lines().any(|line| {
            let event = line.find('{').map(|start| line[start..].trim_end());
            let event = event.and_then(|json| serde_json::from_str::<GuestEvent>(json).ok());
            event.is_some_and(|event| {
                event.cloudd == GuestEvent::VERSION && event.body == EventBody::Hello
            })
        })
    }

    fn text(&self) -> String {
        tail(&self.received)
    }
}

/// Why there is no `hello`, as far as it can be seen from outside, and where to look.
async fn silence(harness: &Harness<'_>, vm: &VmId, received: &str, cause: &str) -> String {
    let provider = harness.provider;
    let state = provider.vm(vm).await.map(|vm| vm.map(|vm| vm.state));
    let console = if provider.capabilities().console {
        format!("{:?}", provider.console(vm).await.map(|bytes| tail(&bytes)))
    } else {
        "not available".to_owned()
    };
    let port = match &provider.capabilities().event_port {
        Some(port) => format!("{}", port.display()),
        None => "none".to_owned(),
    };
    format!(
        "no event `hello` was received from the guest: {cause}. Received: {received:?}. State of the \
         VM: {state:?}. Console: {console}. `Capabilities::event_port`: {port}. Where to look: the \
         order of the serial ports, cloud-init's data source, the console, the base image. See \
         {GUIDE}"
    )
}

/// The end of what a guest has written, as text.
fn tail(bytes: &[u8]) -> String {
    const SHOWN: usize = 1000;
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SHOWN)..]).into_owned()
}
