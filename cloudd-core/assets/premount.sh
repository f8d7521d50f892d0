#!/bin/sh
# dracut pre-mount hook: the root disk is there and not mounted. Sourced by dracut, so no exit.
# It returns only when stage 2 refused before it wrote anything: then the boot goes on, and the agent reports.
if [ -x /cloudd/shutdown ]; then
    # udev would look at the disk after every write, and what follows from vanishing partitions ends this hook.
    udevadm control --stop-exec-queue
    mount -t proc proc /cloudd/proc
    mount -t sysfs sysfs /cloudd/sys
    mount -t devtmpfs devtmpfs /cloudd/dev
    # chroot is not in every initramfs; ours runs with the initramfs's own C library.
    /cloudd/bin/chroot /cloudd /shutdown hook
    umount /cloudd/proc /cloudd/sys /cloudd/dev
    udevadm control --start-exec-queue
    mkdir -p /run/cloudd
    mv /cloudd/cloudd/refused /run/cloudd/refused
    rm -rf /cloudd
fi
