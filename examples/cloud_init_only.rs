//! Makes cloud-init user data for a server of any cloud, and prints them. Mistakes that cloud-init
//! would log on the server are errors here.

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

    let invalid = CloudConfig::new().user(User::new("core").hashed_password("hunter2")).render();
    eprintln!("error: {}", invalid.expect_err("the password is not a hash"));
    Ok(())
}
