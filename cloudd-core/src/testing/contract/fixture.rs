use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::internal;
use crate::cloud_init::CloudConfig;
use crate::guest::GuestEvent;
use crate::provider::{Architecture, BuildId, BuildRequirements, ImageId, Result, Size, VmId};

/// What the contract suite has to know about the provider that it tests.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fixture {
    /// What the builder VMs of the suite require.
    pub requirements: BuildRequirements,
    /// The user data of the builder VMs. `None`: a cloud-config for a base image with cloud-init and
    /// systemd. At each boot it prints a line on the console, sends the event `hello` to
    /// [`Capabilities::event_port`](crate::provider::Capabilities::event_port), and powers the VM off
    /// if `guest` is [`GuestBehaviour::PowersOff`].
    ///
    /// A base image that is itself a small guest, for example a boot sector, ignores its user data
    /// and sends `hello` to the second serial port at each boot, with any build id:
    /// `{"cloudd":1,"build":"any","from":"stage1","seq":1,"event":"hello"}`
    pub user_data: Option<Vec<u8>>,
    /// What the guest does after its start.
    pub guest: GuestBehaviour,
    /// A text that the guest prints on its console at each boot. `None`: any output passes.
    pub console_text: Option<String>,
    /// The deadline of each check.
    pub timeout: Duration,
    pub(super) power_off: Option<Hook<VmId>>,
    pub(super) protect_image: Option<Hook<(ImageId, bool)>>,
    pub(super) left_out: Vec<(String, String)>,
}

/// What a guest of the suite does after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuestBehaviour {
    /// It powers its VM off within seconds.
    PowersOff,
    /// It stays on.
    StaysOn,
}

impl Fixture {
    /// A fixture with a volume of this size, the suite's own user data and two minutes for each check.
    #[must_use]
    pub fn new(architecture: Architecture, volume_size: Size, guest: GuestBehaviour) -> Self {
        Self {
            requirements: BuildRequirements::new(architecture, volume_size),
            user_data: None,
            guest,
            console_text: None,
            timeout: Duration::from_secs(120),
            power_off: None,
            protect_image: None,
            left_out: Vec::new(),
        }
    }

    /// Sets how the suite cuts the power of a VM whose guest stays on. Without it, such a fixture
    /// leaves out the checks that need a VM that has run.
    #[must_use]
    pub fn power_off(
        mut self,
        power_off: impl Fn(VmId) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.power_off = Some(Hook(Arc::new(power_off)));
        self
    }

    /// Sets how the suite protects an image against deletion (`true`) and lifts the protection
    /// (`false`). Without it, the check of protected images is left out.
    #[must_use]
    pub fn protect_image(
        mut self,
        protect: impl Fn(ImageId, bool) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.protect_image = Some(Hook(Arc::new(move |(image, on)| protect(image, on))));
        self
    }

    /// Leaves out the check of this name, for example because the fixture's guest has no console. The
    /// reason appears in [`SuiteReport::skipped`](super::SuiteReport::skipped).
    #[must_use]
    pub fn leave_out(mut self, check: impl Into<String>, reason: impl Into<String>) -> Self {
        self.left_out.push((check.into(), reason.into()));
        self
    }

    /// The user data of a builder VM.
    pub(super) fn user_data(&self, port: Option<&Path>, build: &BuildId) -> Result<Vec<u8>> {
        if let Some(user_data) = &self.user_data {
            return Ok(user_data.clone());
        }
        let mut config =
            CloudConfig::new().bootcmd("echo 'guest of the cloudd contract suite' >/dev/console");
        if let Some(port) = port {
            let hello = serde_json::json!({
                "cloudd": GuestEvent::VERSION, "build": build.as_str(),
                "from": "stage1", "seq": 1, "event": "hello",
            });
            config = config.bootcmd(format!("echo '{hello}' >'{}'", port.display()));
        }
        if self.guest == GuestBehaviour::PowersOff {
            config = config.bootcmd("systemctl --no-block poweroff");
        }
        Ok(config.render().map_err(internal)?.into_string().into_bytes())
    }
}

/// A function of the fixture that does what the trait has no method for.
#[derive(Clone)]
pub(super) struct Hook<T>(Arc<dyn Fn(T) -> BoxFuture<'static, Result<()>> + Send + Sync>);

impl<T> Hook<T> {
    pub(super) async fn call(&self, argument: T) -> Result<()> {
        (self.0)(argument).await
    }
}

impl<T> fmt::Debug for Hook<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::guest::{EventBody, EventParser, Parsed};

    #[test]
    fn the_user_data_of_the_suite_send_hello_to_the_event_port() {
        let fixture = Fixture::new(Architecture::X86_64, Size::gib(1), GuestBehaviour::PowersOff);
        let port = tempfile::NamedTempFile::new().unwrap();
        let build = BuildId::random();
        let user_data = fixture.user_data(Some(port.path()), &build).unwrap();
        let user_data = String::from_utf8(user_data).unwrap();
        let config = user_data.strip_prefix("#cloud-config\n").unwrap();
        let config: serde_json::Value = serde_json::from_str(config).unwrap();

        let [console, hello, power_off] = &config["bootcmd"].as_array().unwrap()[..] else {
            panic!("{config}");
        };
        assert!(console.as_str().unwrap().ends_with(">/dev/console"), "{console}");
        assert_eq!(power_off, "systemctl --no-block poweroff");
        let shell = Command::new("sh").arg("-c").arg(hello.as_str().unwrap()).status();
        assert!(shell.unwrap().success());
        let sent = std::fs::read(port.path()).unwrap();
        let [Parsed::Event(event)] = &EventParser::new(&build).push(&sent)[..] else {
            panic!("{sent:?}");
        };
        assert_eq!(event.body, EventBody::Hello);
    }

    #[test]
    fn without_an_event_port_the_guest_prints_only() {
        let fixture = Fixture::new(Architecture::X86_64, Size::gib(1), GuestBehaviour::StaysOn);
        let user_data = fixture.user_data(None, &BuildId::random()).unwrap();
        let user_data = String::from_utf8(user_data).unwrap();
        assert!(user_data.contains("/dev/console"), "{user_data}");
        assert!(!user_data.contains("hello") && !user_data.contains("poweroff"), "{user_data}");
    }
}
