use cloudd_tests::hcloud_sim::Inventory;
use cloudd_tests::leftovers::volume;

use crate::{CONTEXT, Tool, lines};

#[test]
fn what_was_built_is_listed_and_deleted() {
    let tool = Tool::new();
    let built = tool.run(&["build", "hello", CONTEXT]);
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
    assert!(tool.run(&["list"]).err.contains("cloudd has nothing on Hetzner Cloud"));
}

#[test]
fn what_is_not_cloudds_is_not_deleted() {
    let tool = Tool::new();
    let built = tool.run(&["build", "hello", CONTEXT]);
    let id = built.out.trim();
    for foreign in ["330120054", "vm/1", "volume/x", "nonsense/1"] {
        let refused = tool.run(&["delete", id, foreign]);
        assert_eq!(refused.code, Some(2), "{}", refused.err);
        assert!(refused.err.contains("is not cloudd's, or does not exist"), "{}", refused.err);
    }
    assert_eq!(tool.sim.inventory().images.len(), 1);
}

#[test]
fn a_sweep_shows_what_is_dead_and_deletes_it_when_told_to() {
    let tool = Tool::new();
    let dead = volume(&tool.sim, "dead", Some(-3700));
    let _ = volume(&tool.sim, "alive", Some(60));
    let shown = tool.run(&["sweep"]);
    assert_eq!((shown.code, shown.out), (Some(0), format!("volume/{dead}\n")));
    assert!(shown.err.contains("cloudd sweep --yes deletes these"), "{}", shown.err);
    assert_eq!(tool.sim.inventory().volumes.len(), 2);

    let swept = tool.run(&["sweep", "--yes"]);
    assert_eq!(swept.code, Some(0), "{}", swept.err);
    assert_eq!(tool.sim.inventory().volumes.len(), 1);
    assert!(tool.run(&["sweep"]).err.contains("have left nothing"));
    let listed = tool.run(&["list"]).out;
    assert!(listed.contains("in a build, for "), "{listed}");
}
