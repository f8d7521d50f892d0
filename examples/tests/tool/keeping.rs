use cloudd_tests::hcloud_sim::Inventory;
use cloudd_tests::leftovers::volume;

use crate::{CONTEXT, Tool, lines};

#[test]
fn an_image_is_listed_and_deleted() {
    let tool = Tool::new();
    let built = tool.run(&["build", "hello", &CONTEXT]);
    let id = built.out.trim();
    let list = tool.run(&["list"]);
    assert_eq!(list.code, Some(0), "{}", list.err);
    let rows: Vec<_> = list.out.lines().collect();
    assert_eq!(rows.len(), 2, "{}", list.out);
    for cell in [format!("image/{id} "), " hello ".to_owned(), " x86_64 ".to_owned()] {
        assert!(rows[1].contains(&cell) || rows[1].starts_with(&cell), "{cell}: {}", list.out);
    }
    let json = lines(&tool.run(&["list", "--json"]).out);
    assert_eq!(json[0]["id"], format!("image/{id}"));
    assert_eq!(json[0]["labels"]["cloudd/name"], "hello");

    let deleted = tool.run(&["delete", id]);
    assert_eq!(deleted.code, Some(0), "{}", deleted.err);
    assert_eq!(tool.sim.inventory(), Inventory::default());
    assert!(tool.run(&["list"]).err.contains("no resources of cloudd on Hetzner Cloud"));
}

#[test]
fn resources_of_other_programs_are_not_deleted() {
    let tool = Tool::new();
    let built = tool.run(&["build", "hello", &CONTEXT]);
    let id = built.out.trim();
    for foreign in ["330120054", "vm/1", "volume/x"] {
        let refused = tool.run(&["delete", id, foreign]);
        assert_eq!(refused.code, Some(2), "{}", refused.err);
        assert!(
            refused.err.contains("or is not a resource of cloudd; nothing was deleted"),
            "{}",
            refused.err
        );
    }
    assert_eq!(tool.run(&["delete", id, "nonsense/1"]).code, Some(2));
    assert_eq!(tool.sim.inventory().images.len(), 1);
}

#[test]
fn a_sweep_lists_expired_resources_and_deletes_them_with_yes() {
    let tool = Tool::new();
    let expired = volume(&tool.sim, "expired", Some(-3700));
    let _ = volume(&tool.sim, "in-use", Some(60));
    let listed = tool.run(&["sweep"]);
    assert_eq!((listed.code, listed.out), (Some(0), format!("volume/{expired}\n")));
    assert!(listed.err.contains("to delete these: cloudd sweep --yes"), "{}", listed.err);
    assert_eq!(tool.sim.inventory().volumes.len(), 2);

    let swept = tool.run(&["sweep", "--yes"]);
    assert_eq!(swept.code, Some(0), "{}", swept.err);
    assert_eq!(tool.sim.inventory().volumes.len(), 1);
    assert!(tool.run(&["sweep"]).err.contains("crashed builds left nothing"));
    let listed = tool.run(&["list"]).out;
    assert!(listed.contains("build, expires in "), "{listed}");
}
