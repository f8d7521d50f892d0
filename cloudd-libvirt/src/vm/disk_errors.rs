//! The reason why QEMU paused a VM: which disk failed, and whether the pool is full.

use std::ffi::CStr;

use virt::domain::Domain;
use virt_sys as sys;

/// The reason, for an error message.
pub(super) fn explain(domain: &Domain) -> String {
    let errors = disk_errors(domain);
    let disks = |wanted: fn(u32) -> bool| -> Vec<&str> {
        errors.iter().filter(|(_, code)| wanted(*code)).map(|(disk, _)| disk.as_str()).collect()
    };
    let full = disks(|code| code == sys::VIR_DOMAIN_DISK_ERROR_NO_SPACE);
    let failed = disks(|code| code != sys::VIR_DOMAIN_DISK_ERROR_NO_SPACE);
    match (full.as_slice(), failed.as_slice()) {
        ([], []) => "paused after an I/O error on the host".to_owned(),
        ([], failed) => format!("paused after an I/O error on the host: {}", failed.join(", ")),
        (full, _) => format!(
            "paused because the pool is full: no space left on the host for {}",
            full.join(", ")
        ),
    }
}

/// The failed disks by libvirt's names, with `VIR_DOMAIN_DISK_ERROR_…`. Empty if the call fails; the
/// caller already knows of the I/O error.
#[expect(unsafe_code, reason = "virt 0.4.3 has no wrapper for virDomainGetDiskErrors")]
fn disk_errors(domain: &Domain) -> Vec<(String, u32)> {
    // A VM has at most four disks; libvirt writes at most this number of entries.
    const MAX: usize = 16;
    let empty = sys::virDomainDiskError { disk: std::ptr::null_mut(), error: 0 };
    let mut errors = [empty; MAX];
    // SAFETY: the domain's handle is alive as long as `domain`, and `errors` has `MAX` elements.
    let count =
        unsafe { sys::virDomainGetDiskErrors(domain.as_ptr(), errors.as_mut_ptr(), MAX as u32, 0) };
    let count = usize::try_from(count).unwrap_or(0).min(MAX);
    let mut found = Vec::new();
    for entry in &errors[..count] {
        // SAFETY: libvirt filled the first `count` entries, each with a NUL-terminated string that
        // was allocated by malloc, is owned by the caller, and has no other pointer to it.
        let disk = unsafe {
            let disk = CStr::from_ptr(entry.disk).to_string_lossy().into_owned();
            libc::free(entry.disk.cast());
            disk
        };
        found.push((disk, entry.error.cast_unsigned()));
    }
    found
}
