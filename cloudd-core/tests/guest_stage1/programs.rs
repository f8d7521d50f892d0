//! Programs of the builder: installing them, and copying them for stage 2.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use crate::agent::{agent, each, lines};

#[test]
fn a_missing_program_is_installed_with_what_the_system_has() {
    each(|guest| {
        let installs = format!(
            "echo \"$0 $*\"; case \"$*\" in *install*|-Sy*) touch {0}; chmod 755 {0} ;; esac",
            guest.path("bin/wanted").display()
        );
        guest.program("sleep", ":");
        for tool in ["pacman", "zypper", "dnf", "apt-get"] {
            let _ = fs::remove_file(guest.path("bin/wanted"));
            guest.program(tool, &installs);
            // Only these programs, because the test machine has a package manager of its own.
            let tools = guest.path("bin").display().to_string();
            let script = format!(
                r#"for t in mkfifo tr cut sed stdbuf rm touch chmod sh; do
                    [ -e {tools}/$t ] || ln -s "$(command -v $t)" {tools}/$t; done
                PATH={tools}; begin prepare; need wanted package || note "not installed""#
            );
            let events = agent(guest, &script);
            let last = *lines(&events).last().unwrap();
            assert!(last.contains(&format!("/{tool} ")) && last.ends_with(" package"), "{last}");
            let notes = events.iter().filter(|event| event["event"] == "note");
            let notes: Vec<_> = notes.map(|event| event["message"].as_str().unwrap()).collect();
            assert_eq!(notes, ["wanted is missing, installing package package"]);
        }
        let _ = fs::remove_file(guest.path("bin/wanted"));
        guest.program("apt-get", "echo no network; exit 100");
        let script = format!(
            r#"PATH={}; begin prepare; need wanted package || note "no: $why""#,
            guest.path("bin").display()
        );
        let events = agent(guest, &script);
        assert_eq!(events.last().unwrap()["message"], "no: apt-get install ended with 100");
        let tries = events.iter().filter(|event| event.to_string().contains("trying again"));
        assert_eq!(tries.count(), 29);
    });
}

#[test]
fn a_lock_that_an_upgrade_holds_is_waited_for_and_only_what_podman_needs_is_installed() {
    each(|guest| {
        let calls = guest.path("calls").display().to_string();
        let wanted = guest.path("bin/podman").display().to_string();
        // The third try gets the lock of the lists, and the names of the packages with it.
        guest.program(
            "apt-get",
            &format!(
                "echo \"$*\" >>{calls}\ncase $* in\n\
                 *update) [ \"$(grep -c update {calls})\" -ge 3 ] || {{ echo E: lock; exit 100; }} ;;\n\
                 *) [ \"$(grep -c update {calls})\" -ge 3 ] || {{ echo E: unknown; exit 100; }}\n\
                 touch {wanted}; chmod 755 {wanted} ;;\nesac"
            ),
        );
        guest.program("sleep", ":");
        let script = "command() { [ -e \"$sys/../bin/$2\" ] || [ \"$2\" = apt-get ]; }\n\
                      begin prepare; need podman podman; end";
        let events = agent(guest, script);
        assert_eq!(events.last().unwrap()["exit"], 0, "{events:?}");
        assert_eq!(lines(&events), ["E: lock", "E: unknown", "E: lock", "E: unknown"]);
        let calls = guest.text("calls");
        assert_eq!(calls.lines().count(), 6, "{calls}");
        assert!(calls.contains("update\n") && calls.contains("Error-Mode=any"), "{calls}");
        let install = calls.lines().last().unwrap();
        let packages = "install podman crun netavark iptables nftables ca-certificates";
        assert!(install.ends_with(packages), "{install}");
        assert!(install.contains("--no-install-recommends"), "{install}");
        fs::remove_file(guest.path("calls")).unwrap();
        fs::remove_file(wanted).unwrap();
    });
}

#[test]
fn tools_that_are_one_program_are_one_file_in_the_tree() {
    each(|guest| {
        // As uutils is installed: one program, to which the names are symbolic links.
        let bin = guest.path("bin");
        fs::copy("/bin/busybox", bin.join("multicall")).unwrap();
        for name in ["dd", "tr", "mv"] {
            symlink("multicall", bin.join(name)).unwrap();
        }
        let tree = guest.path("tree");
        // The tree is not tested at the end, which needs root.
        let script = format!("tools='dd tr mv'; make_tree {} || note \"$why\"", tree.display());
        agent(guest, &script);
        let inode = |name: &str| fs::metadata(tree.join("bin").join(name)).unwrap().ino();
        assert_eq!((inode("dd"), inode("mv")), (inode("tr"), inode("tr")));
        assert!(!fs::symlink_metadata(tree.join("bin/dd")).unwrap().is_symlink());
    });
}
