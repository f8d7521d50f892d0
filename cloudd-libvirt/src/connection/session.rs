//! One connection to libvirt, with the pool. All calls block.

use std::sync::atomic::{AtomicBool, Ordering};

use cloudd_core::provider::{Architecture, Error, ErrorKind, Result};
use virt::connect::Connect;
use virt::storage_pool::StoragePool;

use super::event_loop;
use crate::error::{ResultExt, failed, invalid, is_absent, optional};
use crate::settings::{Config, Network, public_uri};
use crate::xml::Node;
use crate::xml::host::{self, Host};

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connect,
    pub(crate) pool: StoragePool,
    pub(crate) pool_name: String,
    pub(crate) driver: Driver,
    pub(crate) host: Host,
    /// Whether the files of libvirt are files of this machine.
    pub(crate) is_local: bool,
    disconnected: AtomicBool,
}

/// The driver of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    Qemu,
    /// libvirt's test driver: its state is in this process; it has no guests and no data.
    Test,
}

/// Seconds between keepalive messages and how many may be unanswered: a peer that hangs is detected
/// within 30 s.
const KEEPALIVE: (i32, u32) = (5, 4);

/// Pools whose volumes are files, as overlays and logs must be.
const FILE_POOLS: [&str; 3] = ["dir", "fs", "netfs"];

impl Session {
    pub(crate) fn open(config: &Config) -> Result<Self> {
        event_loop::start();
        let uri = config.uri.as_str();
        let connection = Connect::open(Some(uri)).context("connect to libvirt", public_uri(uri))?;
        let (is_local, uri) = (is_local(uri), &*public_uri(uri));
        let driver = match connection.get_type().context("connect to libvirt", uri)?.as_str() {
            "QEMU" => Driver::Qemu,
            "TEST" | "Test" => Driver::Test,
            other => {
                return Err(Error::new(ErrorKind::Unsupported, "connect to libvirt")
                    .with_resource(uri)
                    .with_message(format_args!("unsupported driver {other}, expected QEMU")));
            }
        };
        if let Err(error) = connection.set_keep_alive(KEEPALIVE.0, KEEPALIVE.1) {
            // The test driver has no peer.
            tracing::debug!(%error, uri, "no keepalive on this connection");
        }
        let pool = open_pool(&connection, &config.pool)?;
        let host = read_host(&connection, uri)?;
        let pool_name = config.pool.clone();
        let is_local = driver == Driver::Qemu && is_local;
        let disconnected = AtomicBool::new(false);
        Ok(Self { connection, pool, pool_name, driver, host, is_local, disconnected })
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.disconnected.load(Ordering::Relaxed) && self.connection.is_alive().unwrap_or(false)
    }

    /// Records that the connection is lost.
    pub(crate) fn mark_disconnected(&self) {
        self.disconnected.store(true, Ordering::Relaxed);
    }

    /// Whether the driver can upload and download; the test driver cannot.
    pub(crate) fn has_data(&self) -> bool {
        self.driver == Driver::Qemu
    }

    /// The architecture of VMs if none is configured.
    pub(crate) fn default_architecture(&self) -> Architecture {
        self.host.architecture.unwrap_or(Architecture::X86_64)
    }
}

/// Whether a URI names a libvirt of this machine: no host and no transport but a Unix socket.
fn is_local(uri: &str) -> bool {
    uri.split_once("://").is_some_and(|(scheme, rest)| {
        // A socket at another path may be a tunnel to another machine.
        let is_socket_of_libvirt = !rest.contains("socket=");
        rest.starts_with('/')
            && is_socket_of_libvirt
            && scheme.split_once('+').is_none_or(|(_, by)| by == "unix")
    })
}

fn open_pool(connection: &Connect, name: &str) -> Result<StoragePool> {
    const FIND: &str = "find storage pool";
    let pool = match StoragePool::lookup_by_name(connection, name) {
        Ok(pool) => pool,
        Err(error) if is_absent(&error) => {
            return Err(failed(FIND, name, &error).with_hint(existing_pools(connection)));
        }
        Err(error) => return Err(failed(FIND, name, &error)),
    };
    let xml = pool.get_xml_desc(0).context(FIND, name)?;
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
    if !pool.is_active().context(FIND, name)? {
        pool.create(0).context("start storage pool", name)?;
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
        [] => "there are no pools; create one with virsh pool-define-as default dir --target \
               /var/lib/libvirt/images"
            .to_owned(),
        names => format!("pools that exist: {}", names.join(", ")),
    }
}

fn read_host(connection: &Connect, uri: &str) -> Result<Host> {
    const READ: &str = "read the capabilities of the host";
    let capabilities = connection.get_capabilities().context(READ, uri)?;
    // Not every driver supports it; then only the listed features are known.
    let expanded = host::cpu(&capabilities).and_then(|cpu| {
        connection.baseline_cpu(&[cpu], virt_sys::VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES).ok()
    });
    Host::read(&capabilities, expanded.as_deref()).ok_or_else(|| {
        Error::new(ErrorKind::Failed, READ)
            .with_resource(uri)
            .with_message("the capabilities could not be parsed")
    })
}

impl Session {
    /// Checks that a network of libvirt exists and is started. Other networks are not checked.
    pub(crate) fn check_network(&self, network: &Network) -> Result<()> {
        const CHECK: &str = "check network";
        let name = match network {
            Network::Default => "default",
            Network::Named(name) => name,
            Network::User | Network::Bridge(_) => return Ok(()),
        };
        let found = optional(virt::network::Network::lookup_by_name(&self.connection, name));
        let problem = match found.context(CHECK, name)? {
            None => "there is no such network",
            Some(found) if !found.is_active().context(CHECK, name)? => "the network is not started",
            Some(_) => return Ok(()),
        };
        Err(invalid(CHECK, problem).with_resource(name).with_hint(format!(
            "start it with virsh net-start {name}, or use QEMU's own network (Network::User)"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_without_a_host_is_local() {
        for uri in ["qemu:///system", "qemu+unix:///session"] {
            assert!(is_local(uri), "{uri}");
        }
        for uri in [
            "qemu+ssh://root@host/system",
            "qemu://host/system",
            "qemu+ext:///system",
            "qemu:///system?socket=/s",
            "",
        ] {
            assert!(!is_local(uri), "{uri}");
        }
    }
}
