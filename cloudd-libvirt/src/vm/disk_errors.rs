//! Why QEMU paused a VM: which disk failed, and whether the pool is full.

use std::ffi::CStr;

use virt::domain::Domain;
use virt_sys as sys;

/// A sentence for the person who has to do something about it.
pub(super) fn explain(domain: &Domain) -> String {
    let errors = disk_errors(domain);
    let disks = |wanted: fn(u32) -> bool| -> Vec<&str> {
        errors.iter().filter(|(_, code)| wanted(*code)).map(|(disk, _)| disk.as_str()).collect()
    };
    let full = disks(|code| code == sys::VIR_DOMAIN_DISK_ERROR_NO_SPACE);
    let failed = disks(|code| code != sys::VIR_DOMAIN_DISK_ERROR_NO_SPACE);
    match (full.as_slice(), failed.as_slice()) {
        ([], []) => "paused after an I/O error of the host".to_owned(),
        ([], failed) => format!("paused after an I/O error of the host on {}", failed.join(", ")),
        (full, _) => format!(
            "paused because the pool is full: no space left on the host for {}",
            full.join(", ")
        ),
    }
}

/// Disks by libvirt's names for them, with `VIR_DOMAIN_DISK_ERROR_…`. Nothing when the question
/// fails: the caller knows of an I/O error already.
#[expect(unsafe_code, reason = "virt 0.4.3 has no wrapper for virDomainGetDiskErrors")]
fn disk_errors(domain: &Domain) -> Vec<(String, u32)> {
    // Our VMs have at most four disks; libvirt writes no more entries than it is given room for.
    const ROOM: usize = 16;
    let nothing = sys::virDomainDiskError { disk: std::ptr::null_mut(), error: 0 };
    let mut errors = [nothing; ROOM];
    // SAFETY: the domain's handle is alive as long as `domain`, and `errors` has `ROOM` elements.
    let count = unsafe {
        sys::virDomainGetDiskErrors(domain.as_ptr(), errors.as_mut_ptr(), ROOM as u32, 0)
    };
    let count = usize::try_from(count).unwrap_or(0).min(ROOM);
    let mut found = Vec::new();
    for entry in &errors[..count] {
        // SAFETY: libvirt filled the first `count` entries, each with a string that is NUL-ended,
        // allocated by malloc, and now ours to free; nothing else has a pointer to it.
        let disk = unsafe {
            let disk = CStr::from_ptr(entry.disk).to_string_lossy().into_owned();
            libc::free(entry.disk.cast());
            disk
        };
        found.push((disk, entry.error.cast_unsigned()));
    }
    found
}
