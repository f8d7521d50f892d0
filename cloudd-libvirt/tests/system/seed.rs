//! The seed as other programs see it.

use std::process::Command;

use crate::support::{POWERS_OFF, pool, virsh, with_guest};

#[tokio::test]
async fn the_seed_is_a_sound_file_system_that_blkid_knows_by_its_label() {
    with_guest(POWERS_OFF, |bench| async move {
        let vm = bench.vm().await;
        let seed = bench.dir.path().join("seed.img");
        let seed = seed.to_str().unwrap();
        virsh(&["vol-download", &format!("{}.seed.img", vm.id), seed, "--pool", &pool()]);
        let known = run("blkid", &["-p", "-o", "export", seed]);
        assert!(known.contains("TYPE=vfat") && known.contains("LABEL=cidata"), "{known}");
        run("fsck.fat", &["-n", seed]);
        assert_eq!(run("mtype", &["-i", seed, "::user-data"]), "#cloud-config\n{}\n");
        let meta: serde_json::Value =
            serde_json::from_str(&run("mtype", &["-i", seed, "::meta-data"])).unwrap();
        assert_eq!(meta["local-hostname"], vm.id.as_str());
        let instance = meta["instance-id"].as_str().unwrap();
        assert!(instance.contains(virsh(&["domuuid", vm.id.as_str()]).trim()), "{instance}");
    })
    .await;
}

fn run(program: &str, arguments: &[&str]) -> String {
    // Some are where only root looks for programs.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(arguments).env("PATH", path).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program}: {text}");
    text
}
