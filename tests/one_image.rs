//! If several processes or tasks build the same image at the same time, it is made once.

use std::time::Duration;

use cloudd_core::build::ImageBuilder;
use cloudd_core::memory::Memory;
use cloudd_core::provider::ResourceId;
use cloudd_tests::containers::Context;
use cloudd_tests::hcloud_sim::{HcloudSim, Inventory};
use cloudd_tests::process::{Process, command};

const ASKING: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_processes_get_the_one_image_that_one_of_them_makes() {
    const SPEED: f64 = 50.0;
    let (sim, context) = (HcloudSim::start(SPEED), Context::plausible());
    let program = env!("CARGO_BIN_EXE_one-build");
    let start = |_| Process::start(&mut command(program, &sim, SPEED, &context));
    let processes: Vec<_> = (0..ASKING).map(start).collect();
    let mut images = Vec::new();
    for process in processes {
        images.push(process.end().await.image().to_owned());
    }
    let stats = sim.stats();
    println!("{ASKING} processes: {} requests, {:?}", stats.requests, stats.by_route);
    assert_eq!(images, vec![images[0].clone(); ASKING]);
    assert_eq!((sim.servers_ever_created(), sim.images_ever_made()), (1, 1));
    let Inventory { servers, volumes, images, ssh_keys } = sim.inventory();
    assert_eq!((servers, volumes, ssh_keys), (vec![], vec![], vec![]));
    assert_eq!(images.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn twenty_tasks_of_a_process_get_the_same_image() {
    let (context, second) = (Context::plausible(), Duration::from_secs(1));
    let memory = Memory::new().pace(second).image_time(second * 10);
    let build = |_| {
        let (memory, builder) = (memory.clone(), ImageBuilder::new("leap", context.container()));
        tokio::spawn(async move { builder.build(&memory).await.unwrap().image.id })
    };
    let tasks: Vec<_> = (0..ASKING).map(build).collect();
    let mut images = Vec::new();
    for task in tasks {
        images.push(task.await.unwrap());
    }
    assert_eq!(images, vec![images[0].clone(); ASKING]);
    assert_eq!(memory.resources(), [ResourceId::Image(images[0].clone())]);
    assert_eq!((memory.vms_ever_created(), memory.images_ever_made()), (1, 1));
}
