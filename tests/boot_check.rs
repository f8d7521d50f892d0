//! An image with a boot check is returned only after a VM has been started from it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cloudd_core::build::{
    BootCheck, BuildErrorKind, ImageBuilder, InvalidInput, OnBootCheckFailure, Phase,
    ReadinessProbe,
};
use cloudd_core::memory::Memory;
use cloudd_core::provider::{PowerState, ResourceId, keys};
use cloudd_core::testing::Faulty;
use cloudd_tests::containers::Context;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

fn console(text: &str) -> BootCheck {
    BootCheck::new(ReadinessProbe::Console(text.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn an_image_that_shows_its_prompt_is_returned_and_its_vm_is_deleted() {
    let (context, memory) = (Context::plausible(), Memory::new().prints("Debian 12\nx login: "));
    let builder = ImageBuilder::new("x", context.container()).boot_check(console("login:"));
    let image = builder.build(&memory).await.unwrap().image;
    assert_eq!(image.labels.get(keys::BOOT_CHECK), Some("passed"));
    assert_eq!(memory.resources(), [ResourceId::Image(image.id.clone())]);
    assert_eq!(memory.vms_ever_created(), 2);
    // It has passed, so it is not checked again.
    assert_eq!(builder.build(&memory).await.unwrap().image.id, image.id);
    assert_eq!(memory.vms_ever_created(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_fails_its_probe_is_deleted_and_the_error_shows_its_console() {
    let context = Context::plausible();
    let memory = Memory::new().prints("Kernel panic - not syncing: no init found");
    let builder = ImageBuilder::new("x", context.container());
    let error = builder.boot_check(console("login:")).build(&memory).await.unwrap_err();
    assert_eq!(error.phase(), Phase::BootCheck);
    assert!(matches!(error.kind(), BuildErrorKind::BootCheck { kept: None, .. }), "{error}");
    let text = error.report().to_string();
    for part in ["console:login:", "within 10 min", "| Kernel panic - not syncing"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(memory.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_fails_is_kept_if_configured_and_never_reused() {
    let (context, memory) = (Context::plausible(), Memory::new().prints("panic"));
    let check = console("login:").on_failure(OnBootCheckFailure::Keep);
    let builder = ImageBuilder::new("x", context.container()).boot_check(check);
    let error = builder.build(&memory).await.unwrap_err();
    let BuildErrorKind::BootCheck { kept: Some(kept), .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(memory.resources(), [ResourceId::Image(kept.clone())]);
    // It is checked again, not built again: the cause of the failure may have been removed.
    let mended = memory.clone().prints("login:");
    assert_eq!(builder.build(&mended).await.unwrap().image.id, *kept);
    assert_eq!(memory.images_ever_made(), 1);
}

/// A provider on which the VM of a boot check powers off at this call.
fn goes_off_at(call: &'static str, memory: &Memory) -> Arc<Faulty<Memory>> {
    let trigger = memory.clone();
    Arc::new(Faulty::never(memory.clone()).observed(move |_, made| {
        for id in trigger.resources() {
            if let ResourceId::Vm(vm) = id
                && made == call
                && trigger.spec(&vm).is_none()
            {
                trigger.tamper(&vm, |vm| vm.state = PowerState::Off);
            }
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_goes_off_ends_the_check_at_once() {
    let (context, memory) = (Context::plausible(), Memory::new().prints("bye"));
    // Polled once, and off from then on.
    let provider = goes_off_at("console", &memory);
    let begun = tokio::time::Instant::now();
    let builder = ImageBuilder::new("x", context.container()).boot_check(console("login:"));
    let error = builder.build(&provider).await.unwrap_err();
    assert!(error.report().to_string().contains("the VM powered off"), "{error}");
    assert!(begun.elapsed().as_secs() < 60, "it waited for a deadline");
    assert_eq!(memory.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_powers_off_right_after_the_expected_output_passes() {
    // The order in which console output and power-off are observed is not defined.
    for _ in 0..16 {
        let (context, memory) = (Context::plausible(), Memory::new().prints("all is well"));
        let provider = goes_off_at("wait_vm_off", &memory);
        let builder = ImageBuilder::new("x", context.container()).boot_check(console("is well"));
        builder.build(&provider).await.unwrap();
    }
}

#[tokio::test]
async fn ports_ssh_servers_and_web_servers_pass_their_probes() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: [(&[u8], ReadinessProbe); 3] = [
        (b"", ReadinessProbe::Tcp(port)),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", ReadinessProbe::Ssh(port)),
        (b"HTTP/1.0 200 OK\r\n\r\nfine", ReadinessProbe::Http { port, path: "/health".to_owned() }),
    ];
    for (answer, sign) in answers {
        let (context, memory) = (Context::plausible(), Memory::new());
        let addressed = memory.clone();
        let provider = Arc::new(Faulty::never(memory.clone()).observed(move |_, call| {
            if call == "start_vm" {
                for id in addressed.resources() {
                    let ResourceId::Vm(vm) = id else { continue };
                    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
                    addressed.tamper(&vm, |vm| vm.addresses = vec![here]);
                }
            }
        }));
        let serve = async {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                // A client of the TCP probe has disconnected by then.
                let _gone = connection.write_all(answer).await;
            }
        };
        let builder = ImageBuilder::new("x", context.container());
        let builder = builder.boot_check(BootCheck::new(sign.clone()));
        tokio::select! {
            built = builder.build(&provider) => drop(built.unwrap()),
            never = serve => never,
        }
        assert_eq!(memory.resources().len(), 1, "{sign}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_the_provider_cannot_do_is_refused_before_anything_is_created() {
    let blind = Memory::new().with_capabilities(|capabilities| capabilities.console = false);
    let cannot = Memory::new().with_capabilities(|capabilities| capabilities.boots_images = false);
    let hidden = Memory::new().with_capabilities(|capabilities| capabilities.addresses = false);
    let health = ReadinessProbe::Http { port: 80, path: "/health".to_owned() };
    let spaced = ReadinessProbe::Http { port: 80, path: "/a b".to_owned() };
    let cases = [
        (&blind, console("login:"), "cannot show a VM's console"),
        (&cannot, BootCheck::new(ReadinessProbe::Tcp(22)), "cannot start a VM from an image"),
        (&cannot.clone(), console(""), "cannot start a VM from an image"),
        (&hidden, BootCheck::new(ReadinessProbe::Ssh(22)), "cannot tell the address of a VM"),
        (&hidden, BootCheck::new(health), "cannot tell the address of a VM"),
        (&Memory::new(), console(""), "is empty"),
        (&Memory::new(), BootCheck::new(spaced), "\"/a b\" is not a path"),
    ];
    for (memory, check, expected) in cases {
        let context = Context::plausible();
        let builder = ImageBuilder::new("x", context.container()).boot_check(check);
        let error = builder.build(memory).await.unwrap_err();
        assert!(
            matches!(error.kind(), BuildErrorKind::Input(InvalidInput::BootCheck(_))),
            "{error}"
        );
        assert!(error.report().to_string().contains(expected), "{error}");
        assert_eq!(memory.resources(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_returned_before_is_not_deleted_by_a_later_check() {
    let (context, memory) = (Context::plausible(), Memory::new().prints("panic"));
    let builder = ImageBuilder::new("x", context.container());
    let returned = builder.build(&memory).await.unwrap().image;
    let error = builder.boot_check(console("login:")).build(&memory).await.unwrap_err();
    let BuildErrorKind::BootCheck { kept: Some(kept), .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(*kept, returned.id);
    assert_eq!(memory.resources(), [ResourceId::Image(returned.id)]);
}
