//! The cloud-init builder alone: user data for any server of any cloud, checked before a machine
//! sees them. Prints them.

use std::error::Error;

use cloudd_core::cloud_init::{CloudConfig, Login, User, WriteFile};

fn main() -> Result<(), Box<dyn Error>> {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpwRhW/BcfsUE0A0zfrw/FLJ4QVSWYLLBgc7au5RgnC me";
    let data = CloudConfig::new()
        .hostname("web-1")
        .user(User::new("core").sudo("ALL=(ALL) NOPASSWD:ALL").authorized_key(key))
        .ssh_password_login(Login::Refused)
        .package("nginx")
        .write_file(WriteFile::new("/etc/motd", "Made by cloudd.\n").permissions(0o644))
        .runcmd(["systemctl", "enable", "--now", "nginx"])
        .render()?;
    print!("{}", data.as_str());

    let sizes = data.sizes();
    eprintln!("{} bytes, {} gzipped in base64", sizes.plain, sizes.gzip_base64);

    // What cloud-init would complain about in a log on the machine is an error here.
    let wrong = CloudConfig::new().user(User::new("core").hashed_password("hunter2")).render();
    eprintln!("a password that is no hash: {}", wrong.expect_err("not a hash"));
    Ok(())
}
