//! Every object has the fields of the reference, no more and no fewer.

use serde_json::{Value, json};

use super::client::{KEYS, Project, server};

/// Names of an object's fields, in the order of the alphabet.
fn keys(object: &Value) -> String {
    let fields = object.as_object().unwrap_or_else(|| panic!("no object: {object}"));
    fields.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn objects_have_the_fields_of_the_reference() {
    let project = Project::new();
    let key = project.post("/ssh_keys", json!({"name": "k", "public_key": KEYS[0]})).await;
    let volume =
        project.post("/volumes", json!({"name": "v", "size": 10, "location": "fsn1"})).await;
    let made = project.post("/servers", server("a")).await;
    project.pass(15);
    let id = &made.body["server"]["id"];
    let image = project.post(&format!("/servers/{id}/actions/create_image"), json!({})).await;
    let list = project.get("/servers").await;
    let server = &made.created()["server"];
    for (object, fields) in [
        (&key.created()["ssh_key"], "created fingerprint id labels name public_key"),
        (
            &volume.created()["volume"],
            "created format id labels linux_device location name protection server size status",
        ),
        (
            server,
            "backup_window created id image included_traffic ingoing_traffic iso labels load_balancers location \
             locked name outgoing_traffic placement_group primary_disk_size private_net protection public_net \
             rescue_enabled server_type status volumes",
        ),
        (&server["public_net"], "firewalls floating_ips ipv4 ipv6"),
        (&server["public_net"]["ipv4"], "blocked dns_ptr id ip"),
        (&server["public_net"]["ipv6"], "blocked dns_ptr id ip"),
        (&server["protection"], "delete rebuild"),
        (
            &server["server_type"],
            "architecture category cores cpu_type deprecation description disk id locations memory name \
             prices storage_type",
        ),
        (&server["server_type"]["locations"][0], "available deprecation id name recommended"),
        (
            &server["server_type"]["prices"][0],
            "included_traffic location price_hourly price_monthly price_per_tb_traffic",
        ),
        (&server["location"], "city country description id latitude longitude name network_zone"),
        (
            &image.created()["image"],
            "architecture bound_to created created_from deleted deprecation description disk_size id \
             image_size labels name os_flavor os_version protection rapid_deploy status type",
        ),
        (&image.body["action"], "command error finished id progress resources started status"),
        (&made.body, "action next_actions root_password server"),
        (&volume.body, "action next_actions volume"),
        (&image.body, "action image"),
        (
            &list.ok()["meta"]["pagination"],
            "last_page next_page page per_page previous_page total_entries",
        ),
        (&project.get("/servers/7").await.body["error"], "code details message"),
    ] {
        assert_eq!(keys(object), fields);
    }
}
