//! Measurements, printed as tables: `make bench-e2e`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloudd_core::build::{BuildEventKind, ImageBuilder, Phase};
use cloudd_core::guest::{Stage2Entry, StepState};
use cloudd_core::provider::{
    Architecture, BuildId, BuildRequirements, BuilderSpec, BuilderVm, ImageSpec, Labels, Provider,
    Reporter, ResourceId, Size, UserDataTemplate, keys,
};
use cloudd_tests::containers::Context;
use cloudd_tests::installer::Installer;
use cloudd_tests::lab::Lab;
use cloudd_tests::original;
use cloudd_tests::story::Story;

const DISK: Size = Size::gib(10);
const MEBIBYTES: usize = 64;

/// One build, measured.
struct Measured {
    total: Duration,
    story: Story,
    /// Bytes of the volume that the guest had read when stage 2 began, and when it ended.
    read: (u64, u64),
    written: u64,
}

async fn measure(lab: &Lab, context: &Context, written: u64, entry: Stage2Entry) -> Measured {
    let builder = ImageBuilder::new(format!("bench-{entry}"), context.container())
        .volume_size(DISK)
        .root_size(DISK)
        .entry(entry);
    let reads = Reads::default();
    let begun = Instant::now();
    let (result, story) = lab
        .build_watched(&*lab.libvirt, &builder, |event, _| match &event.kind {
            BuildEventKind::Created { resource: ResourceId::Vm(vm) } => {
                reads.watch(lab, vm.as_str())
            }
            BuildEventKind::EnteringStage2 { .. } => reads.stage2_begins(),
            BuildEventKind::Phase { phase: Phase::Image } => reads.stop(),
            _ => {}
        })
        .await;
    let total = begun.elapsed();
    let image = result.unwrap().image;
    lab.libvirt.delete(&image.id.into()).await.unwrap();
    Measured { total, story, read: reads.get(), written }
}

impl Measured {
    /// Judges what the disk was asked for, as QEMU counted it.
    fn assert_little_is_read(&self, entry: Stage2Entry) {
        let (from, to) = self.read;
        let ratio = (to - from) as f64 / self.written as f64;
        println!(
            "{entry}: the container wrote {} bytes, stage 2 read {} of the volume: {ratio:.3} ×",
            self.written,
            to - from
        );
        assert!(ratio <= 1.1, "stage 2 reads more than was written");
    }
}

/// Polls libvirt, while a domain lives, for the number of bytes that its guest has read of the volume:
/// the counter is gone with the domain.
#[derive(Default)]
struct Reads {
    now: Arc<Mutex<u64>>,
    at_stage2: Mutex<u64>,
    stop: Arc<AtomicBool>,
}

impl Reads {
    fn watch(&self, lab: &Lab, domain: &str) {
        let (lab, domain) = (lab.observer(), domain.to_owned());
        let (now, stop) = (self.now.clone(), self.stop.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if let Some(read) = lab.volume_bytes_read(&domain) {
                    *now.lock().unwrap() = read;
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        });
    }

    fn stage2_begins(&self) {
        *self.at_stage2.lock().unwrap() = *self.now.lock().unwrap();
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        (*self.at_stage2.lock().unwrap(), *self.now.lock().unwrap())
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Steps of the guest with their durations, in order.
fn steps(story: &Story) -> Vec<(String, Duration)> {
    let mut steps = Vec::new();
    for event in &story.0 {
        let BuildEventKind::Step { step, state: StepState::Start, .. } = event.kind else {
            continue;
        };
        let end = story.0.iter().find(|end| {
            matches!(&end.kind, BuildEventKind::Step { step: s, state: StepState::End, .. } if *s == step)
        });
        let end = end.map_or(event.at, |end| end.at);
        steps.push((format!("  {step}"), end.saturating_sub(event.at)));
    }
    steps
}

fn rows(measured: &Measured) -> Vec<(String, Duration)> {
    let phases = measured.story.phases();
    let phases = phases.iter().map(|(phase, took)| (phase.to_string(), *took));
    phases
        .chain(steps(&measured.story))
        .chain([("whole build".to_owned(), measured.total)])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_the_three_ways_into_stage_2() {
    let lab = Lab::new().await;
    let mut columns = Vec::new();
    let installer = Installer::new(MEBIBYTES);
    let (context, written) = (installer.context(), installer.written());
    for entry in [Stage2Entry::Exitrd, Stage2Entry::Kexec, Stage2Entry::Reboot] {
        columns.push((entry, measure(&lab, &context, written, entry).await));
    }
    println!(
        "\nAn image of {MEBIBYTES} MiB and more, disks of {DISK}; seconds by the host's clock"
    );
    print!("{:<14}", "");
    columns.iter().for_each(|(entry, _)| print!("{:>10}", entry.to_string()));
    println!();
    let tables: Vec<_> = columns.iter().map(|(_, measured)| rows(measured)).collect();
    for (name, _) in &tables[0] {
        print!("{name:<14}");
        for table in &tables {
            match table.iter().find(|(row, _)| row == name) {
                Some((_, took)) => print!("{:>10.1}", took.as_secs_f64()),
                None => print!("{:>10}", "-"),
            }
        }
        println!();
    }
    for (entry, measured) in &columns {
        measured.assert_little_is_read(*entry);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_against_the_pipeline_of_the_original() {
    let lab = Lab::new().await;
    let (context, written) = original::container(MEBIBYTES as u64);
    let entry = Stage2Entry::default();
    let ours = measure(&lab, &context, written, entry).await;
    let original = the_original(&lab, &context).await;
    println!("\n{:<14}{:>10}", "cloudd", "s");
    for (name, took) in rows(&ours) {
        println!("{name:<14}{:>10.1}", took.as_secs_f64());
    }
    let total = original.iter().map(|(_, took)| *took).sum::<Duration>();
    println!("\n{:<14}{:>10}", "the original", "s");
    for (name, took) in original.iter().copied().chain([("whole build", total)]) {
        println!("{name:<14}{:>10.1}", took.as_secs_f64());
    }
    let ratio = ours.total.as_secs_f64() / total.as_secs_f64();
    println!("\nratio {ratio:.3}");
    ours.assert_little_is_read(entry);
    assert!(ratio <= 0.25, "not four times as fast as the original");
}

/// Runs the pipeline of the original: up to its power-off, which is all it reports, and its
/// snapshot. It left the VM and the volume where they were, so deleting them is not counted.
async fn the_original(lab: &Lab, context: &Context) -> [(&'static str, Duration); 2] {
    let build = BuildId::random();
    let mut labels = Labels::new();
    labels.insert(keys::BUILD, build.as_str()).unwrap();
    let (provider, silent) = (&lab.libvirt, Reporter::silent());
    let mut requirements = BuildRequirements::new(Architecture::X86_64, DISK);
    requirements.root_size = Some(DISK);
    let begun = Instant::now();
    let resolved = provider.resolve(&requirements).await.unwrap();
    provider.ensure_base_image(&requirements, &resolved, &silent).await.unwrap();
    let name = format!("cloudd-{build}");
    let (user_data, media) = original::pipeline(context);
    let user_data = UserDataTemplate::fixed(user_data);
    let mut spec = BuilderSpec::new(&name, labels.clone(), requirements, resolved, user_data);
    spec.media = Some(media);
    let BuilderVm { vm, volume, .. } = provider.create_builder(&spec, &silent).await.unwrap();
    provider.start_vm(&vm.id, &silent).await.unwrap();
    let off = provider.wait_vm_off(&vm.id);
    let off = tokio::time::timeout(Duration::from_secs(60 * 60), off).await;
    let to_off = begun.elapsed();
    let begun = Instant::now();
    let spec = ImageSpec::new("bench-original", "the original's", labels, Architecture::X86_64);
    let image = provider.create_image(&vm.id, &spec, &silent).await;
    let snapshot = begun.elapsed();
    println!("{}", String::from_utf8_lossy(&provider.console(&vm.id).await.unwrap()));
    for left in image.iter().map(|image| image.id.clone().into()).chain([vm.id.into()]) {
        provider.delete(&left).await.unwrap();
    }
    provider.delete(&volume.id.into()).await.unwrap();
    off.expect("the original's pipeline ends within an hour").unwrap();
    image.unwrap();
    [("to power-off", to_off), ("snapshot", snapshot)]
}
