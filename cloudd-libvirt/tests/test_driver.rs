//! Tests with libvirt's test driver, which runs no guests and needs no daemon and no root.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use cloudd_core::provider::{
    Architecture, BuildRequirements, ErrorKind, Labels, LeaseId, Provider, Reporter,
    ResolvedBuilder, ResourceId, Size,
};
use cloudd_core::testing::{Fixture, GuestBehaviour, run_all};
use cloudd_libvirt::{Accel, BaseImage, Libvirt, Network};

async fn provider() -> (tempfile::TempDir, Libvirt) {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base.img");
    std::fs::write(&base, vec![7; 1 << 20]).unwrap();
    let provider = Libvirt::builder("test:///default")
        .pool("default-pool")
        .base_image(BaseImage::path(base))
        .network(Network::Default)
        .connect()
        .await
        .unwrap();
    (dir, provider)
}

fn requirements() -> BuildRequirements {
    BuildRequirements::new(Architecture::X86_64, Size::mib(16))
}

#[tokio::test]
async fn it_keeps_the_contract_as_far_as_the_test_driver_goes() {
    let (_dir, provider) = provider().await;
    let fixture = Fixture::new(Architecture::X86_64, Size::mib(16), GuestBehaviour::StaysOn);
    let report = run_all(&provider, &fixture).await;
    assert!(report.passed.len() >= 18, "{report}");
    assert!(!provider.capabilities().runs_guests && !provider.capabilities().channel);
}

#[tokio::test]
async fn it_keeps_the_contract_behind_a_pointer() {
    let (_dir, provider) = provider().await;
    let provider: std::sync::Arc<dyn Provider> = std::sync::Arc::new(provider);
    let fixture = Fixture::new(Architecture::X86_64, Size::mib(16), GuestBehaviour::StaysOn);
    run_all(&provider, &fixture).await;
}

#[tokio::test]
async fn a_missing_pool_is_named_together_with_those_that_exist() {
    let error = Libvirt::builder("test:///default").pool("nvme").connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    assert!(text.contains("nvme") && text.contains("pools that exist: default-pool"), "{text}");
}

#[tokio::test]
async fn a_libvirt_that_cannot_be_reached_is_named() {
    let uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock";
    let error = Libvirt::builder(uri).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error:?}");
    let text = error.to_string();
    assert!(text.contains(uri) && text.contains("is libvirtd running"), "{text}");
}

#[tokio::test]
async fn input_that_cannot_work_is_found_before_anything_is_made() {
    let (dir, provider) = provider().await;
    let kind_and_text = |result: cloudd_core::provider::Result<ResolvedBuilder>| {
        let error = result.unwrap_err();
        (error.kind(), error.to_string())
    };

    let arm = BuildRequirements::new(Architecture::Aarch64, Size::mib(16));
    let (kind, text) = kind_and_text(provider.resolve(&arm).await);
    assert!(kind == ErrorKind::InvalidInput && text.contains("aarch64"), "{text}");

    let mut small_root = requirements();
    small_root.root_size = Some(Size::mib(8));
    let (kind, text) = kind_and_text(provider.resolve(&small_root).await);
    assert!(kind == ErrorKind::InvalidInput && text.contains("smaller than the volume"), "{text}");

    let connect = |base| {
        let builder = Libvirt::builder("test:///default").pool("default-pool");
        builder.base_image(base).connect()
    };
    let missing = dir.path().join("no such file");
    let other = connect(BaseImage::path(&missing)).await.unwrap();
    let (kind, text) = kind_and_text(other.resolve(&requirements()).await);
    assert!(kind == ErrorKind::InvalidInput && text.contains("no such file"), "{text}");

    let compressed = dir.path().join("base.xz");
    std::fs::write(&compressed, b"\xfd7zXZ\0 and so on").unwrap();
    let other = connect(BaseImage::path(&compressed)).await.unwrap();
    let (kind, text) = kind_and_text(other.resolve(&requirements()).await);
    assert!(kind == ErrorKind::InvalidInput && text.contains("compressed with xz"), "{text}");

    let other = connect(BaseImage::volume("nothing")).await.unwrap();
    let (kind, text) = kind_and_text(other.resolve(&requirements()).await);
    assert!(kind == ErrorKind::InvalidInput && text.contains("no such volume"), "{text}");

    let other = Libvirt::builder("test:///default")
        .pool("default-pool")
        .network(Network::Named("lab".into()))
        .accel(Accel::Tcg)
        .connect()
        .await
        .unwrap();
    let (kind, text) = kind_and_text(other.resolve(&requirements()).await);
    assert!(kind == ErrorKind::InvalidInput && text.contains("lab"), "{text}");
}

#[tokio::test]
async fn what_another_provider_has_resolved_is_refused() {
    let (_dir, provider) = provider().await;
    let resolved = ResolvedBuilder::new("memory x86_64", Size::gib(1));
    let silent = Reporter::silent();
    let ensured = provider.ensure_base_image(&requirements(), &resolved, &silent).await;
    let error = ensured.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn domains_of_others_are_neither_seen_nor_deleted() {
    // The test driver comes with a running domain of this name.
    let (_dir, provider) = provider().await;
    let foreign = cloudd_core::provider::VmId::new("test");
    assert_eq!(provider.vm(&foreign).await.unwrap(), None);
    let error = provider.delete(&foreign.into()).await.unwrap_err();
    assert!(error.to_string().contains("not created by cloudd"), "{error}");
}

#[tokio::test]
async fn a_domain_that_is_no_lease_is_not_deleted_as_one() {
    let (_dir, provider) = provider().await;
    // The UUID of that domain, and what is none.
    for id in ["6695eb01-f6a4-8304-79aa-97f2502e193f", "no UUID", ""] {
        let id = ResourceId::from(LeaseId::new(id));
        provider.delete(&id).await.unwrap();
        let labelled = provider.set_labels(&id, &Labels::new()).await;
        assert_eq!(labelled.unwrap_err().kind(), ErrorKind::NotFound);
    }
    let connection = virt::connect::Connect::open(Some("test:///default")).unwrap();
    let domain = virt::domain::Domain::lookup_by_name(&connection, "test").unwrap();
    assert_eq!(domain.get_uuid_string().unwrap(), "6695eb01-f6a4-8304-79aa-97f2502e193f");
    assert!(domain.is_active().unwrap());
}
