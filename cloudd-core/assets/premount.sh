#!/bin/sh
# dracut pre-mount hook: runs when the root disk is available and not mounted. Sourced by dracut, so it must not call
# exit. Returns only if stage 2 refused before its first write. The boot then continues, and the agent reports the
# refusal.
if [ -x /cloudd/shutdown ]; then
    # Otherwise, udev would probe the disk after every write, and react to removed partitions by ending this hook.
    udevadm control --stop-exec-queue
    mount -t proc proc /cloudd/proc
    mount -t sysfs sysfs /cloudd/sys
    mount -t devtmpfs devtmpfs /cloudd/dev
    # Not every initramfs contains chroot. The one of the tree runs with the C library of the initramfs.
    /cloudd/bin/chroot /cloudd /shutdown hook
    umount /cloudd/proc /cloudd/sys /cloudd/dev
    udevadm control --start-exec-queue
    mkdir -p /run/cloudd
    mv /cloudd/cloudd/refused /run/cloudd/refused
    rm -rf /cloudd
fi
