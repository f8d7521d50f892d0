//! One connection to libvirt with the pool on it, for as long as it lasts. All calls block.

use std::sync::atomic::{AtomicBool, Ordering};

use cloudd_core::provider::{Architecture, Error, ErrorKind, Result};
use virt::connect::Connect;
use virt::storage_pool::StoragePool;

use crate::error::{During, failed, found, is_absent};
use crate::event_loop;
use crate::settings::Config;
use crate::xml::Node;
use crate::xml::host::{self, Host};

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connect,
    pub(crate) pool: StoragePool,
    pub(crate) pool_name: String,
    pub(crate) driver: Driver,
    pub(crate) host: Host,
    dead: AtomicBool,
}

/// What stands behind the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    Qemu,
    /// libvirt's own test driver: keeps books within this process, has neither guests nor data.
    Test,
}

/// Seconds between signs of life, and how many may be missing: a frozen peer is noticed within
/// half a minute.
const KEEPALIVE: (i32, u32) = (5, 4);

/// Pools whose volumes are files, as overlays and logs must be.
const FILE_POOLS: [&str; 3] = ["dir", "fs", "netfs"];

impl Session {
    pub(crate) fn open(config: &Config) -> Result<Self> {
        event_loop::start();
        let uri = config.uri.as_str();
        let connection = Connect::open(Some(uri)).during("connect to libvirt", uri)?;
        let driver = match connection.get_type().during("connect to libvirt", uri)?.as_str() {
            "QEMU" => Driver::Qemu,
            "TEST" | "Test" => Driver::Test,
            other => {
                return Err(Error::new(ErrorKind::Unsupported, "connect to libvirt")
                    .with_resource(uri)
                    .with_message(format_args!("driver {other}, expected QEMU")));
            }
        };
        if let Err(error) = connection.set_keep_alive(KEEPALIVE.0, KEEPALIVE.1) {
            // The test driver has no other end.
            tracing::debug!(%error, uri, "no keepalive on this connection");
        }
        let pool = open_pool(&connection, &config.pool)?;
        let host = read_host(&connection, uri)?;
        let pool_name = config.pool.clone();
        Ok(Self { connection, pool, pool_name, driver, host, dead: AtomicBool::new(false) })
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.dead.load(Ordering::Relaxed) && self.connection.is_alive().unwrap_or(false)
    }

    /// Marks a connection that was found lost.
    pub(crate) fn bury(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Whether the driver moves data: the test driver refuses.
    pub(crate) fn has_data(&self) -> bool {
        self.driver == Driver::Qemu
    }

    /// The architecture of VMs unless another is asked for.
    pub(crate) fn default_architecture(&self) -> Architecture {
        self.host.architecture.unwrap_or(Architecture::X86_64)
    }
}

fn open_pool(connection: &Connect, name: &str) -> Result<StoragePool> {
    const FIND: &str = "find storage pool";
    let pool = match StoragePool::lookup_by_name(connection, name) {
        Ok(pool) => pool,
        Err(error) if is_absent(&error) => {
            return Err(failed(FIND, name, error).with_hint(existing_pools(connection)));
        }
        Err(error) => return Err(failed(FIND, name, error)),
    };
    let xml = pool.get_xml_desc(0).during(FIND, name)?;
    let kind = Node::parse(&xml).ok().and_then(|pool| pool.attribute("type").map(str::to_owned));
    if !kind.as_deref().is_some_and(|kind| FILE_POOLS.contains(&kind)) {
        return Err(Error::new(ErrorKind::Unsupported, FIND).with_resource(name).with_message(
            format_args!(
                "the pool is of type {}, expected one of {}",
                kind.as_deref().unwrap_or("unknown"),
                FILE_POOLS.join(", ")
            ),
        ));
    }
    if !pool.is_active().during(FIND, name)? {
        pool.create(0).during("start storage pool", name)?;
    }
    Ok(pool)
}

fn existing_pools(connection: &Connect) -> String {
    let names: Vec<_> = connection
        .list_all_storage_pools(0)
        .unwrap_or_default()
        .iter()
        .filter_map(|pool| pool.get_name().ok())
        .collect();
    match names.as_slice() {
        [] => "there are no pools; virsh pool-define-as default dir --target \
               /var/lib/libvirt/images makes one"
            .to_owned(),
        names => format!("pools that exist: {}", names.join(", ")),
    }
}

fn read_host(connection: &Connect, uri: &str) -> Result<Host> {
    const READ: &str = "read the capabilities of the host";
    let capabilities = connection.get_capabilities().during(READ, uri)?;
    // Not every driver can: then the features that are written out must do.
    let expanded = host::cpu(&capabilities).and_then(|cpu| {
        connection.baseline_cpu(&[cpu], virt_sys::VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES).ok()
    });
    Host::read(&capabilities, expanded.as_deref()).ok_or_else(|| {
        Error::new(ErrorKind::Failed, READ)
            .with_resource(uri)
            .with_message("libvirt's answer is not understood")
    })
}

impl Session {
    /// Whether a network of libvirt's can be used.
    pub(crate) fn check_network(&self, name: &str) -> Result<()> {
        const CHECK: &str = "check network";
        let network = found(virt::network::Network::lookup_by_name(&self.connection, name))
            .during(CHECK, name)?;
        let wrong = match network {
            None => "there is no such network",
            Some(network) if !network.is_active().during(CHECK, name)? => {
                "the network is not started"
            }
            Some(_) => return Ok(()),
        };
        Err(crate::error::invalid(CHECK, wrong).with_resource(name).with_hint(format!(
            "virsh net-start {name}, or the network of QEMU itself (Network::User)"
        )))
    }
}
