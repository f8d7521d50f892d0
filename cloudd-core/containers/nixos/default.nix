# What is installed where no configuration.nix is given: SSH with keys, and cloud-init for network, names and keys.
{ ... }:
{
  services.openssh = {
    enable = true;
    settings.PasswordAuthentication = false;
    settings.KbdInteractiveAuthentication = false;
  };

  services.cloud-init = {
    enable = true;
    network.enable = true;
    # Others are not asked for at every start, which costs time where they do not answer.
    settings.datasource_list = [ "Hetzner" "NoCloud" "None" ];
  };
  # Name and addresses are cloud-init's to say, by systemd-networkd.
  networking.hostName = "";
  networking.useNetworkd = true;
  networking.useDHCP = false;
}
