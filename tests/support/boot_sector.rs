//! The smallest operating system: a boot sector that says something and powers off.

/// A boot sector that prints `text` on the first serial port and powers the machine off, on the
/// machine types `pc` and `q35` of QEMU.
///
/// # Panics
/// When the text is longer than 467 bytes, all that fits.
#[must_use]
pub fn boot_sector(text: &str) -> [u8; 512] {
    #[rustfmt::skip]
    const CODE: [u8; 42] = [
        0xfa,             //       cli
        0x31, 0xc0,       //       xor ax, ax
        0x8e, 0xd8,       //       mov ds, ax
        0xfc,             //       cld
        0xbe, 0x2a, 0x7c, //       mov si, 0x7c00 + 42       the text
        0xac,             // next: lodsb
        0x84, 0xc0,       //       test al, al
        0x74, 0x12,       //       jz off
        0x88, 0xc4,       //       mov ah, al
        0xba, 0xfd, 0x03, // wait: mov dx, 0x3fd             line status of COM1
        0xec,             //       in al, dx
        0xa8, 0x20,       //       test al, 0x20             transmitter empty
        0x74, 0xf8,       //       jz wait
        0xba, 0xf8, 0x03, //       mov dx, 0x3f8
        0x88, 0xe0,       //       mov al, ah
        0xee,             //       out dx, al
        0xeb, 0xe9,       //       jmp next
        0xba, 0x04, 0x06, // off:  mov dx, 0x604             ACPI PM1a control, as SeaBIOS sets it
        0xb8, 0x00, 0x20, //       mov ax, 0x2000            sleep enable, type S5
        0xef,             //       out dx, ax
        0xf4,             // halt: hlt
        0xeb, 0xfd,       //       jmp halt
    ];
    let mut sector = [0; 512];
    let end = CODE.len() + text.len();
    assert!(end < 510, "{} bytes do not fit a boot sector", text.len());
    sector[..CODE.len()].copy_from_slice(&CODE);
    sector[CODE.len()..end].copy_from_slice(text.as_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// The same, but it stays on.
#[must_use]
pub fn staying_boot_sector(text: &str) -> [u8; 512] {
    const OUT: usize = 38; // out dx, ax
    const NOP: u8 = 0x90;
    let mut sector = boot_sector(text);
    sector[OUT] = NOP;
    sector
}
