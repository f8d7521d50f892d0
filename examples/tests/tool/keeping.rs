use cloudd_tests::hcloud_sim::Inventory;

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
