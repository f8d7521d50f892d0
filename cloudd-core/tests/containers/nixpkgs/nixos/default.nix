# Stands in for NixOS, which cannot be had where the tests run: modules without types or priorities, and a system of the
# shape that the install container relies on, made by busybox alone. The test puts busybox and a kernel beside it.
{ configuration ? <nixos-config>, system ? builtins.currentSystem }:
let
  merge = a: b:
    if builtins.isAttrs a && builtins.isAttrs b then
      a // builtins.mapAttrs (name: value: if a ? ${name} then merge a.${name} value else value) b
    else if builtins.isList a && builtins.isList b then a ++ b
    else b;

  # What is imported counts for more than what imports it, and what comes later for more than what came before.
  load = module:
    let
      imported = import module;
      arguments = { lib.mkDefault = value: value; modulesPath = toString ./modules; };
      own = if builtins.isFunction imported then imported arguments else imported;
    in
    builtins.foldl' merge (removeAttrs own [ "imports" ]) (map load (own.imports or [ ]));

  config =
    let
      loaded = load configuration;
      options = [ "boot" "fileSystems" "networking" "services" "system" ];
      unknown = builtins.filter (name: !builtins.elem name options) (builtins.attrNames loaded);
    in
    if unknown == [ ] then loaded else throw "The option `${builtins.head unknown}' does not exist.";

  tools = builtins.path { path = ../bin; name = "tools"; };
  linux = builtins.path { path = ../linux; name = "linux"; };

  run = name: script: derivation {
    inherit name system;
    builder = "${tools}/busybox";
    args = [ "sh" "-euc" script ];
  };
  path = run "path" ''
    ${tools}/busybox mkdir $out
    ${tools}/busybox --install -s $out
  '';
  runWithPath = name: script: run name "PATH=${path}\n${script}";
  compiler = runWithPath "compiler" "echo compiled >$out";

  # Asks for what the real one asks for, and writes what generic-extlinux-compatible writes.
  switch = runWithPath "switch" ''
    cat >$out <<'END'
    #!${tools}/busybox sh
    set -eu
    PATH=${path}
    [ "$*" = boot ]
    [ -f /etc/NIXOS ]
    grep -qx ID=nixos /etc/os-release
    mkdir -p /run/nixos
    system=$(readlink -f "$(dirname "$0")/..")
    [ -e "$system/extlinux" ] || exit 0
    mkdir -p /boot/nixos /boot/extlinux
    for name in kernel initrd; do
        file=$(readlink -f "$system/$name")
        copy=$(echo "$file" | sed 's|^/nix/store/||; s|/|-|g')
        cp "$file" "/boot/nixos/$copy"
        eval "$name=../nixos/$copy"
    done
    cat >/boot/extlinux/extlinux.conf <<CONF
    # Generated file, all changes will be lost on nixos-rebuild!
    DEFAULT nixos-default

    TIMEOUT $(cat "$system/extlinux")
    MENU TITLE ------------------------------------------------------------

    LABEL nixos-default
      MENU LABEL NixOS - Default
      LINUX $kernel
      INITRD $initrd
      APPEND init=$system/init $(cat "$system/kernel-params")

    LABEL nixos-1-default
      MENU LABEL NixOS - Configuration 1-default (2026-11-25 12:00 - 26.05)
      LINUX ../nixos/none
      INITRD ../nixos/none
      APPEND init=none
    CONF
    END
    chmod +x $out
  '';

  # Nobody can build it: the cache has it.
  cached = derivation { name = "cached"; system = "x86_64-linux"; builder = "/nowhere"; };

  loader = config.boot.loader;
in
{
  inherit config;
  system = runWithPath "nixos-system" ''
    # Outside of the sandbox the install container would be seen.
    [ ! -e /install ]
    ${if config.system ? broken then "exit 3" else ""}
    cat ${compiler}
    mkdir -p $out/bin $out/etc
    cp ${switch} $out/bin/switch-to-configuration
    ln -s ${linux}/bzImage $out/kernel
    ln -s ${linux}/initrd $out/initrd
    echo ID=nixos >$out/etc/os-release
    echo '${toString config.boot.kernelParams}' >$out/kernel-params
    echo '${builtins.toJSON config}' >$out/config.json
    ${if config.system ? cached then "cp ${cached} $out/cached" else ""}
    ${if loader.generic-extlinux-compatible.enable && !loader.grub.enable
      then "echo ${toString loader.timeout}0 >$out/extlinux" else ""}
  '';
}
