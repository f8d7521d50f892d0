//! The meaning of sections, which the schema does not check, in cloud-init's own modules.

use cloudd_core::cloud_init::{CloudConfig, User};
use serde_json::json;

use crate::support::{PUBLIC_KEY, with_cloud_init};

fn data(config: &CloudConfig) -> Vec<u8> {
    config.render().unwrap().into_string().into_bytes()
}

#[test]
fn arguments_reach_the_program_as_they_were() {
    let arguments = ["%s\\n", "it's", "\"$HOME\"", "a  b", "", "*", "line\nline", "ü"];
    let command: Vec<&str> = ["printf"].into_iter().chain(arguments).collect();
    let config = CloudConfig::new().runcmd(command).runcmd("printf '%s' \"$((1 + 1))\"");
    let script = r"
import subprocess
from cloudinit import safeyaml, util
shell = util.shellify(safeyaml.load(data)['runcmd'])
answer = subprocess.run(['sh', '-c', shell], capture_output=True, check=True, text=True).stdout
";
    let printed = arguments[1..].join("\n") + "\n2";
    assert_eq!(with_cloud_init(script, &data(&config)), json!(printed));
}

#[test]
fn a_key_is_added_to_the_default_user_and_the_image_decides_the_rest() {
    let config = CloudConfig::new()
        .user(User::distro_default().authorized_key(PUBLIC_KEY))
        .user(User::new("core").group("sudo"));
    let script = r"
from cloudinit import safeyaml
from cloudinit.distros import ug_util
class Distro:
    def get_default_user(self):
        return {'name': 'debian', 'sudo': ['ALL'], 'groups': ['adm'], 'lock_passwd': True}
answer = ug_util.normalize_users_groups(safeyaml.load(data), Distro())[0]
";
    let users = with_cloud_init(script, &data(&config));
    assert_eq!(users["debian"]["ssh_authorized_keys"], json!([PUBLIC_KEY]));
    assert_eq!(users["debian"]["sudo"], json!(["ALL"]));
    assert_eq!(users["debian"]["default"], json!(true));
    assert_eq!(users["core"]["groups"], json!(["sudo"]));
    assert_eq!(users["core"]["default"], json!(false));
}
