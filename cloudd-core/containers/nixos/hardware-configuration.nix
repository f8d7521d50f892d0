# The disk as cloudd's install container made it, and how it starts. /etc/nixos/configuration.nix imports it.
{ lib, modulesPath, ... }:
{
  imports = [ "${modulesPath}/profiles/qemu-guest.nix" ];

  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
    autoResize = true;
  };
  boot.growPartition = lib.mkDefault true;

  # GRUB is on the disk, and reads the menu that this writes to /boot/extlinux. NixOS neither installs it nor updates it.
  boot.loader.grub.enable = false;
  boot.loader.generic-extlinux-compatible.enable = true;
  boot.loader.timeout = lib.mkDefault 1;
}
