//! A minimal kernel that boot loaders accept as Linux and that prints its arguments.

use std::path::Path;
use std::process::Command;

use crate::podman::run;

/// A kernel in Linux's boot protocol 2.06 that prints its command line on the first serial port and
/// powers the machine off, on the machine types `pc` and `q35` of QEMU. It prints nothing if no initrd
/// was loaded. The boot loader passes its data in the kernel's header.
pub(crate) fn kernel() -> Vec<u8> {
    #[rustfmt::skip]
    const CODE: [u8; 59] = [
        0xfc,                               //       cld
        0x66, 0x83, 0x3e, 0x1c, 0x02, 0x00, //       cmp dword [0x21c], 0   size of the initrd
        0x74, 0x28,                         //       jz off
        0x66, 0xa1, 0x28, 0x02,             //       mov eax, [0x228]       address of the command line
        0x66, 0x89, 0xc6,                   //       mov esi, eax
        0x83, 0xe6, 0x0f,                   //       and si, 15
        0x66, 0xc1, 0xe8, 0x04,             //       shr eax, 4
        0x8e, 0xc0,                         //       mov es, ax
        0x26, 0xac,                         // next: es lodsb
        0x84, 0xc0,                         //       test al, al
        0x74, 0x12,                         //       jz off
        0x88, 0xc4,                         //       mov ah, al
        0xba, 0xfd, 0x03,                   //       mov dx, 0x3fd          line status of COM1
        0xec,                               // wait: in al, dx
        0xa8, 0x20,                         //       test al, 0x20          transmitter empty
        0x74, 0xfb,                         //       jz wait
        0xba, 0xf8, 0x03,                   //       mov dx, 0x3f8
        0x88, 0xe0,                         //       mov al, ah
        0xee,                               //       out dx, al
        0xeb, 0xe8,                         //       jmp next
        0xba, 0x04, 0x06,                   // off:  mov dx, 0x604          ACPI PM1a control, as SeaBIOS sets it
        0xb8, 0x00, 0x20,                   //       mov ax, 0x2000         sleep enable, type S5
        0xef,                               //       out dx, ax
        0xf4,                               // halt: hlt
        0xeb, 0xfd,                         //       jmp halt
    ];
    const SECTOR: usize = 512;
    // Boot sector, one sector of setup code, and the first sector of protected mode code.
    let mut kernel = vec![0; 3 * SECTOR];
    let mut put = |at: usize, bytes: &[u8]| kernel[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]); // sectors of set-up code
    put(0x1fe, &[0x55, 0xaa]);
    put(0x200, &[0xeb, 0x66]); // jmp 0x268, behind the header
    put(0x202, b"HdrS");
    put(0x206, &[6, 2]); // version of the protocol
    put(0x211, &[1]); // the protected mode is loaded high
    put(0x214, &0x10_0000_u32.to_le_bytes()); // where it is
    put(0x22c, &0x37ff_ffff_u32.to_le_bytes()); // the highest address for an initrd
    put(0x238, &2047_u32.to_le_bytes()); // the longest command line
    put(0x268, &CODE);
    kernel
}

/// The output of a machine with BIOS firmware on its first serial port, until it powers off.
pub(crate) fn start(disk: &Path) -> String {
    let drive = format!("file={},format=raw,if=virtio,snapshot=on", disk.display());
    let qemu = ["qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "128", "-no-reboot"];
    let output = ["-nodefaults", "-display", "none", "-serial", "stdio", "-drive", &drive];
    run(Command::new("timeout").arg("60").args(qemu).args(output))
}
