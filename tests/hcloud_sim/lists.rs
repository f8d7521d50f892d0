//! Lists: pages, sorting, filters, selectors.

use serde_json::{Value, json};

use super::client::{KEYS, Project, ids};

async fn volumes(project: &Project, count: u64) -> Vec<u64> {
    let mut made = Vec::new();
    for n in 0..count {
        let labels = json!({"parity": if n % 2 == 0 { "even" } else { "odd" }, "n": n.to_string()});
        let body = json!({"name": format!("v{:02}", count - n), "size": 10, "location": "fsn1", "labels": labels});
        made.push(
            project.post("/volumes", body).await.created()["volume"]["id"].as_u64().expect("an id"),
        );
        project.pass(1);
    }
    made
}

#[tokio::test]
async fn pages_lead_from_one_to_the_next() {
    let project = Project::new();
    let made = volumes(&project, 60).await;
    let mut found = Vec::new();
    let mut page = json!(1);
    while !page.is_null() {
        let answer = project.get(&format!("/volumes?page={page}&label_selector=n")).await;
        let body = answer.ok();
        found.extend(ids(&body["volumes"]));
        let meta = &body["meta"]["pagination"];
        assert_eq!(meta["per_page"], 25);
        assert_eq!(meta["total_entries"], 60);
        assert_eq!(meta["last_page"], 3);
        let (next, link) = (&meta["next_page"], answer.header("link"));
        if next.is_null() {
            assert!(!link.contains("rel=\"next\""), "{link}");
        } else {
            let address = format!(
                "{}/volumes?label_selector=n&page={next}&per_page=25",
                project.sim.endpoint()
            );
            assert!(link.contains(&format!("<{address}>; rel=\"next\"")), "{link}");
        }
        assert_eq!(meta["previous_page"].is_null(), page == 1);
        page = next.clone();
    }
    assert_eq!(found, made);
}

#[tokio::test]
async fn a_page_has_at_most_fifty_entries() {
    let project = Project::new();
    volumes(&project, 51).await;
    for (query, entries) in
        [("per_page=50", 50), ("per_page=100", 50), ("per_page=3", 3), ("page=9", 0)]
    {
        let answer = project.get(&format!("/volumes?{query}")).await;
        assert_eq!(ids(&answer.ok()["volumes"]).len(), entries, "{query}");
    }
    for query in ["page=0", "per_page=0", "page=x", "page=-1"] {
        let answer = project.get(&format!("/volumes?{query}")).await;
        assert_eq!(answer.error(), (422, "invalid_input"), "{query}");
    }
}

#[tokio::test]
async fn lists_are_sorted_as_asked() {
    let project = Project::new();
    let made = volumes(&project, 4).await;
    let reversed: Vec<_> = made.iter().rev().copied().collect();
    for (query, expected) in [
        ("", &made),
        ("sort=id", &made),
        ("sort=id:desc", &reversed),
        ("sort=name", &reversed),
        ("sort=name:desc", &made),
        ("sort=created:desc", &reversed),
        ("sort=created&sort=id:desc", &made),
    ] {
        let answer = project.get(&format!("/volumes?{query}")).await;
        assert_eq!(ids(&answer.ok()["volumes"]), *expected, "{query}");
    }
    for query in ["sort=size", "sort=id:up"] {
        let answer = project.get(&format!("/volumes?{query}")).await;
        assert_eq!(answer.error(), (422, "invalid_input"), "{query}");
    }
    // Server types cannot be sorted; clients ask all the same.
    project.get("/server_types?sort=id:asc").await.ok();
}

#[tokio::test]
async fn selectors_and_filters_narrow_a_list() {
    let project = Project::new();
    let made = volumes(&project, 4).await;
    for (query, expected) in [
        ("name=v04", vec![made[0]]),
        ("name=v0", vec![]),
        ("label_selector=parity%3Deven", vec![made[0], made[2]]),
        ("label_selector=parity%21%3Deven", vec![made[1], made[3]]),
        ("label_selector=n%20in%20(0,3)", vec![made[0], made[3]]),
        ("label_selector=n+notin+(0,3),parity", vec![made[1], made[2]]),
        ("label_selector=!parity", vec![]),
        // Time passes between them: the last one is not ready yet.
        ("status=creating", vec![made[3]]),
        ("status=creating&status=available", made.clone()),
    ] {
        if query.starts_with("status=creating") && expected.len() == 1 {
            project.pass(3);
        }
        let answer = project.get(&format!("/volumes?{query}")).await;
        assert_eq!(ids(&answer.ok()["volumes"]), expected, "{query}");
    }
    let malformed = project.get("/volumes?label_selector=a%20b").await;
    assert_eq!(malformed.error(), (422, "invalid_input"));
    assert_eq!(
        malformed.body["error"]["message"],
        "invalid label_selector: expected comma at pos 2"
    );
}

#[tokio::test]
async fn images_are_found_by_what_they_are() {
    let project = Project::new();
    let snapshot = project.snapshot(json!({"role": "base"})).await;
    let names = |answer: &Value| {
        let images = answer["images"].as_array().expect("a list").clone();
        images
            .iter()
            .map(|image| image["name"].as_str().unwrap_or("-").to_owned())
            .collect::<Vec<_>>()
    };
    let own = project
        .get("/images?type=snapshot&status=available&architecture=x86&label_selector=role")
        .await;
    assert_eq!(ids(&own.ok()["images"]), [snapshot]);
    let arm = project.get("/images?type=snapshot&architecture=arm").await;
    assert_eq!(names(arm.ok()), Vec::<String>::new());
    let both = project.get("/images?name=fedora-43").await;
    assert_eq!(names(both.ok()), ["fedora-43", "fedora-43"]);
    let fedora =
        project.get("/images?type=system&architecture=x86&per_page=50&sort=name:desc").await;
    let fedora: Vec<_> =
        names(fedora.ok()).into_iter().filter(|name| name.starts_with("fedora")).collect();
    assert_eq!(fedora, ["fedora-43", "fedora-42"]);
    // Deprecated ones are shown on request, those past their date never.
    let old = project.get("/images?name=fedora-41&architecture=x86&include_deprecated=true").await;
    assert_eq!(names(old.ok()), ["fedora-41"]);
    let past = project.get("/images?name=fedora-40&include_deprecated=true").await;
    assert_eq!(names(past.ok()), Vec::<String>::new());
    assert_eq!(project.get("/images?type=floppy").await.error(), (422, "invalid_input"));
}

#[tokio::test]
async fn keys_are_found_by_fingerprint() {
    let project = Project::new();
    for (name, key) in ["one", "two"].into_iter().zip(KEYS) {
        project.post("/ssh_keys", json!({"name": name, "public_key": key})).await.created();
    }
    let found =
        project.get("/ssh_keys?fingerprint=f4:13:3e:1a:3c:a0:9d:61:ed:88:44:64:73:16:92:b1").await;
    assert_eq!(found.ok()["ssh_keys"][0]["name"], "one");
    assert_eq!(ids(&found.body["ssh_keys"]).len(), 1);
}

#[tokio::test]
async fn actions_by_id_leave_out_the_unknown_and_have_no_pages() {
    let project = Project::new();
    let mut query = String::from("id=1");
    for n in 0..30 {
        let made = project
            .post("/volumes", json!({"name": format!("v{n}"), "size": 10, "location": "fsn1"}))
            .await;
        query.push_str(&format!("&id={}", made.created()["action"]["id"]));
    }
    let first_two: Vec<_> = query.split('&').take(3).collect();
    let answer = project.get(&format!("/actions?{}", first_two.join("&"))).await;
    assert_eq!(ids(&answer.ok()["actions"]).len(), 2);
    assert!(answer.body.get("meta").is_none());
    assert!(answer.headers.get("link").is_none());
    // More ids than a page holds are not answered either.
    let answer = project.get(&format!("/actions?{query}")).await;
    assert_eq!(ids(&answer.ok()["actions"]).len(), 25);
    assert_eq!(project.get("/actions?id=x").await.error(), (422, "invalid_input"));
}

#[tokio::test]
async fn what_is_on_sale_can_be_read() {
    let project = Project::new();
    let types = project.get("/server_types?name=cx23").await;
    let cx23 = &types.ok()["server_types"][0];
    assert_eq!(cx23["architecture"], "x86");
    assert_eq!(cx23["prices"][0]["price_monthly"]["net"], "3.4900000000");
    assert_eq!(cx23["prices"][0]["price_monthly"]["gross"], "4.1531000000000000");
    let sold_out =
        cx23["locations"].as_array().expect("a list").iter().find(|l| l["name"] == "hel1");
    assert_eq!(sold_out.expect("hel1")["available"], false);
    let by_id = project.get(&format!("/server_types/{}", cx23["id"])).await;
    assert_eq!(by_id.ok()["server_type"], *cx23);
    let locations = project.get("/locations?sort=name:desc").await;
    assert_eq!(locations.ok()["locations"][0]["name"], "sin");
    let pricing = project.get("/pricing").await;
    let pricing = &pricing.ok()["pricing"];
    assert_eq!(pricing["image"]["price_per_gb_month"]["net"], "0.0119000000");
    assert_eq!(pricing["server_types"].as_array().map(Vec::len), Some(10));
}
