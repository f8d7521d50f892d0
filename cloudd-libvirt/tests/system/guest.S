# A guest of 512 bytes: a boot sector that speaks on both serial ports, writes to its disk and
# powers off. What else it does is chosen when it is assembled (--defsym NAME=1):
#
#   STAY   does not power off
#   FLOOD  writes LINES numbered lines of 16 bytes to the second serial port
#   FILL   writes 48 MiB of 'U' to the disk from its second MiB on, before it speaks on the console
#
# 16-bit x86, as the BIOS loads it: at 0x7c00, with the boot disk's number in dl.

        .code16
        .globl _start
        .equ CONSOLE, 0x3f8
        .equ EVENTS, 0x2f8

_start: cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        sti
        cld
        movb    %dl, disk

        movw    $event, %si
        movw    $EVENTS, %dx
        call    print

.ifdef FLOOD
        xorl    %ebx, %ebx
line:   movw    $number, %di
        movl    %ebx, %eax
        movw    $8, %cx
digit:  roll    $4, %eax
        pushw   %ax
        andb    $15, %al
        addb    $'a', %al               # sixteen letters do for digits
        stosb
        popw    %ax
        loop    digit
        movw    $text, %si
        call    print
        incl    %ebx
        cmpl    $LINES, %ebx
        jne     line
.endif

.ifdef FILL
        movw    $0x1000, %ax            # 32 KiB of 'U' at 0x10000
        movw    %ax, %es
        xorw    %di, %di
        movw    $0x8000, %cx
        movb    $'U', %al
        rep     stosb
        movw    $0x1000, packet + 6
        movw    $0, packet + 4
        movw    $64, packet + 2
        movl    $2048, packet + 8
        movw    $1536, %bp
more:   call    write
        addl    $64, packet + 8
        decw    %bp
        jnz     more
.else
        call    write
.endif

        movw    $hello, %si
        movw    $CONSOLE, %dx
        call    print

.ifndef STAY
        movw    $0x604, %dx             # the ACPI port of SeaBIOS on QEMU: soft off
        movw    $0x2000, %ax
        outw    %ax, %dx
.endif
halt:   hlt
        jmp     halt

# Writes what `packet` says, through the BIOS.
write:  movb    $0x43, %ah
        xorb    %al, %al
        movb    disk, %dl
        movw    $packet, %si
        int     $0x13
        jc      halt
        ret

# Prints the text at si on the port at dx.
print:  lodsb
        movb    %al, %ah
        testb   %al, %al
        jz      printed
        addw    $5, %dx                 # the line status: QEMU may be waiting for virtlogd
full:   inb     %dx, %al
        testb   $0x20, %al
        jz      full
        subw    $5, %dx
        movb    %ah, %al
        outb    %al, %dx
        jmp     print
printed: ret

disk:   .byte   0
        .balign 4
packet: .byte   16, 0                   # one sector to sector 2, from the marker on
        .word   1
        .word   marker, 0
        .quad   2
hello:  .asciz  "hello from the guest\n"
# A complete event of the protocol; the suite of the contract accepts any build id.
event:  .ascii  "{\"cloudd\":1,\"build\":\"any\",\"from\":\"stage1\",\"seq\":1,"
        .asciz  "\"event\":\"hello\"}\n"
text:   .ascii  "line   "
number: .asciz  "________\n"
marker: .ascii  "CLOUDD-MARKER"

        .org    510
        .word   0xaa55
