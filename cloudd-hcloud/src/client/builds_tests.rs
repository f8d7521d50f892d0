//! What whole builds cost in requests and in waiting, in virtual time.
//!
//! A build here makes the calls that a build makes: create server 10 s, attach 5 s, start 5 s,
//! stages 120 s, snapshot 75 s, delete 5 s.

use std::time::Duration;

use super::testing::{Cloud, STAGES};
use super::{ActionWait, Client, ImageFilter, ServerFilter};
use crate::schema::{
    Action, CreateImage, CreateServer, CreateSshKey, CreateVolume, IdOrName, ImageId, Label,
    Labels, LocationRef, Selector, ServerStatus, VolumePlace,
};

const LONG: Duration = Duration::from_secs(3600);

/// Carries out a build, and returns how late it learned of each end.
async fn build(cloud: &Cloud, client: &Client) -> Vec<Duration> {
    let (cloud, mut delays) = (cloud.clone(), Vec::new());
    let mine = Label::new("build", "b").unwrap();
    let labels = Labels::from([("build".to_owned(), "b".to_owned())]);
    let selector = Selector::new().exists("build");
    let late = |ended: &[Action]| cloud.ended(ended.last().unwrap().id);

    let images = ImageFilter::new().selector(selector.clone());
    assert!(client.shared_images(&images, Duration::ZERO).await.unwrap().is_empty());
    let servers = ServerFilter::new().selector(selector.clone());
    client.shared_servers(&servers, Duration::ZERO).await.unwrap();
    client.create_ssh_key(&CreateSshKey::new("k", "ssh-ed25519 AAAA"), &mine).await.unwrap();
    let place = VolumePlace::Location(LocationRef::name("fsn1"));
    let volume = client.create_volume(&CreateVolume::new("v", 10, place), &mine).await.unwrap();
    delays.push(late(&client.wait(ActionWait::new(volume.actions, LONG)).await.unwrap()));
    let wish =
        CreateServer::new("s", IdOrName::name("cx23"), ImageId(1)).volume(volume.resource.id);
    let server = client.create_server(&wish, &mine).await.unwrap();
    delays.push(late(&client.wait(ActionWait::new(server.actions, LONG)).await.unwrap()));
    let server = server.resource.id;

    let mut watch = client.watch_server(server, &selector, STAGES);
    watch.until(&ServerStatus::Off, LONG).await.unwrap();
    drop(watch);
    delays.push(cloud.powered_off(server));

    let image =
        client.create_image(server, &CreateImage::new("leap").labels(labels), &mine).await.unwrap();
    delays.push(late(&client.wait(ActionWait::new(image.actions, LONG)).await.unwrap()));
    client.image(image.resource.id).await.unwrap();
    let deletion = client.delete_server(server).await.unwrap().action().unwrap();
    delays.push(late(&client.wait(ActionWait::new([deletion], LONG)).await.unwrap()));
    client.delete_volume(volume.resource.id).await.unwrap();
    delays
}

/// Carries out builds that begin at intervals, and returns requests a build and the mean delay.
async fn builds(cloud: &Cloud, number: u32, interval: Duration) -> (f64, Duration) {
    let client = cloud.fake.client();
    let builds: Vec<_> = (0..number)
        .map(|index| {
            let (cloud, client) = (cloud.clone(), client.clone());
            tokio::spawn(async move {
                tokio::time::sleep(interval * index).await;
                build(&cloud, &client).await
            })
        })
        .collect();
    let mut delays = Vec::new();
    for build in builds {
        delays.extend(build.await.unwrap());
    }
    let mean = delays.iter().sum::<Duration>() / u32::try_from(delays.len()).unwrap();
    let requests = cloud.fake.requests().len() as f64 / f64::from(number);
    (requests, mean)
}

const LATE: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn a_build_alone_takes_few_requests_and_learns_of_every_end_soon() {
    let cloud = Cloud::new(3600);
    let (requests, delay) = builds(&cloud, 1, Duration::ZERO).await;
    assert!(requests <= 20.0 && delay <= LATE, "{requests} requests, {delay:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_builds_at_once_share_their_questions() {
    let cloud = Cloud::new(3600);
    let (requests, delay) = builds(&cloud, 100, Duration::ZERO).await;
    assert!(requests <= 8.0 && delay <= LATE, "{requests} requests, {delay:?}");
    assert_eq!(cloud.refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_builds_one_after_the_other_share_their_questions() {
    let cloud = Cloud::new(3600);
    let (requests, delay) = builds(&cloud, 100, Duration::from_secs(2)).await;
    assert!(requests <= 14.0 && delay <= LATE, "{requests} requests, {delay:?}");
    assert_eq!(cloud.refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_takes_its_time_or_hurries_costs_little_more() {
    let cloud = Cloud::new(3600).spread(0.4);
    let (requests, delay) = builds(&cloud, 100, Duration::ZERO).await;
    assert!(requests <= 8.0 && delay <= LATE, "{requests} requests, {delay:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_builds_never_exceed_a_small_quota() {
    let cloud = Cloud::new(600);
    builds(&cloud, 100, Duration::ZERO).await;
    assert_eq!(cloud.refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn builds_survive_somebody_else_spending_the_quota() {
    let cloud = Cloud::new(3600);
    let spender = tokio::spawn({
        let cloud = cloud.clone();
        async move {
            loop {
                cloud.spend(3600.0);
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        }
    });
    builds(&cloud, 10, Duration::ZERO).await;
    spender.abort();
    assert!(cloud.refused() > 0, "the quota was gone now and then");
}
