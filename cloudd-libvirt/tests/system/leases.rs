//! Leases, as other processes and people with virsh see them.

use std::sync::atomic::{AtomicUsize, Ordering};

use cloudd_core::provider::{
    ErrorKind, Labels, LeaseSpec, Provider, ResourceId, ResourceKind, Selector, keys,
};
use cloudd_libvirt::Libvirt;

use crate::support::{
    Bench, POWERS_OFF, another, builder, join_all, pool, soon, unique, virsh, with_guest,
};

fn spec(bench: &Bench, owner: &str) -> LeaseSpec {
    LeaseSpec::new(bench.name(), bench.labels().merged(&labels([(keys::HOLDER, owner)])))
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    Labels::from_iter(pairs)
}

fn domain(bench: &Bench) -> String {
    format!("{}.{}", bench.name(), pool())
}

async fn found(provider: &Libvirt, bench: &Bench) -> Vec<(ResourceId, Labels)> {
    let leases = Selector::build(&bench.build).of_kind(ResourceKind::Lease);
    let found = provider.find(&leases).await.unwrap();
    found.into_iter().map(|lease| (lease.id, lease.labels)).collect()
}

#[tokio::test]
async fn of_many_processes_that_lease_one_image_exactly_one_succeeds() {
    with_guest(POWERS_OFF, |bench| async move {
        let other = another(&bench).await;
        let owners: Vec<_> = (0..12).map(|number| format!("owner-{number}")).collect();
        let tries = owners.iter().enumerate().map(|(number, owner)| {
            let provider = if number % 2 == 0 { &*bench.provider } else { &other };
            let spec = spec(&bench, owner);
            async move { provider.create_lease(&spec).await }
        });
        let (made, refused): (Vec<_>, Vec<_>) =
            join_all(tries.collect()).await.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1, "{made:?}");
        for error in refused {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        let id = made.into_iter().next().unwrap().unwrap();
        other.delete(&id.into()).await.unwrap();
        assert_eq!(found(&bench.provider, &bench).await, []);
    })
    .await;
}

/// Its writer may die at any moment: then there is none, or one that says whose it is.
#[tokio::test]
async fn nobody_ever_sees_half_a_lease() {
    with_guest(POWERS_OFF, |bench| async move {
        /// How many looks must have met a lease just made, and one labelled.
        const LOOKS: usize = 5;
        let other = another(&bench).await;
        let seen = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let write = async {
            let mut round = 0_u32;
            while seen.iter().any(|count| count.load(Ordering::Relaxed) < LOOKS) {
                let id = bench.provider.create_lease(&spec(&bench, "owner")).await.unwrap().into();
                let text = round.to_string();
                let both = labels([("one", &text), ("other", &text)]);
                bench.provider.set_labels(&id, &both).await.unwrap();
                bench.provider.delete(&id).await.unwrap();
                round += 1;
            }
        };
        let look = async {
            loop {
                for (_, labels) in found(&other, &bench).await {
                    assert_eq!(labels.get(keys::HOLDER), Some("owner"), "{labels:?}");
                    assert_eq!(labels.get("one"), labels.get("other"), "{labels:?}");
                    let labelled = usize::from(labels.get("one").is_some());
                    seen[labelled].fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        tokio::select! {
            () = soon(write) => {}
            () = look => {}
        }
    })
    .await;
}

#[tokio::test]
async fn builds_into_different_pools_do_not_wait_for_each_other() {
    with_guest(POWERS_OFF, |bench| async move {
        let name = format!("cloudd-second-{}", unique());
        let dir = tempfile::tempdir().unwrap();
        virsh(&["pool-define-as", &name, "dir", "--target", dir.path().to_str().unwrap()]);
        virsh(&["pool-start", &name]);
        let second = builder().pool(&name).connect().await.unwrap();
        let here = bench.provider.create_lease(&spec(&bench, "here")).await;
        let there = second.create_lease(&spec(&bench, "there")).await;
        let seen = (found(&bench.provider, &bench).await, found(&second, &bench).await);
        let kept = match &here {
            // Of another pool, so not to be seen from there, nor deleted.
            Ok(id) => {
                let id = ResourceId::from(id.clone());
                second.delete(&id).await.unwrap();
                found(&bench.provider, &bench).await.len()
            }
            Err(_) => 0,
        };
        for (provider, id) in [(&*bench.provider, &here), (&second, &there)] {
            if let Ok(id) = id {
                provider.delete(&id.clone().into()).await.unwrap();
            }
        }
        virsh(&["pool-destroy", &name]);
        virsh(&["pool-undefine", &name]);
        assert_eq!((seen.0.len(), seen.1.len(), kept), (1, 1, 1), "{here:?} {there:?}");
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_somebody_started_is_still_a_lease() {
    with_guest(POWERS_OFF, |bench| async move {
        let id = bench.provider.create_lease(&spec(&bench, "owner")).await.unwrap();
        virsh(&["start", &domain(&bench)]);
        let id = ResourceId::from(id);
        bench.provider.set_labels(&id, &labels([(keys::PHASE, "start")])).await.unwrap();
        let leases = found(&bench.provider, &bench).await;
        assert_eq!(leases.len(), 1, "{leases:?}");
        assert_eq!(leases[0].1.get(keys::PHASE), Some("start"));
        bench.provider.delete(&id).await.unwrap();
        assert!(!virsh(&["list", "--all"]).contains(bench.build.as_str()));
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_somebody_has_spoilt_is_an_error_that_names_it() {
    with_guest(POWERS_OFF, |bench| async move {
        bench.provider.create_lease(&spec(&bench, "owner")).await.unwrap();
        let namespace = "https://github.com/cloudd-rs/cloudd/libvirt/vm/1";
        virsh(&["metadata", &domain(&bench), "--uri", namespace, "--remove", "--config"]);
        let error = bench.provider.create_lease(&spec(&bench, "another")).await;
        virsh(&["undefine", &domain(&bench)]);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{error:?}");
        assert!(error.to_string().contains(&domain(&bench)), "{error}");
    })
    .await;
}
