use std::error::Error;
use std::time::Duration;

use cloudd_hcloud::{Hcloud, HcloudBuilder};

/// Hetzner Cloud, with the token of `HCLOUD_TOKEN`.
///
/// # Errors
/// Those of [`builder`], and of an endpoint that is none.
pub fn hetzner() -> Result<Hcloud, Box<dyn Error>> {
    Ok(builder()?.build()?)
}

/// Hetzner Cloud, to be set up further.
///
/// On Hetzner this is `Hcloud::builder_from_env()` and no more. For the simulator (see
/// `README.md`), `HCLOUD_ENDPOINT` says where it is and `HCLOUD_SIM_SPEED` how many times faster
/// its clock runs; its servers speak no SSH, so their power state alone tells when they are done.
///
/// # Errors
/// `HCLOUD_TOKEN` is missing or malformed, or the speed is no number.
pub fn builder() -> Result<HcloudBuilder, Box<dyn Error>> {
    let builder = Hcloud::builder_from_env()?;
    let Ok(speed) = std::env::var("HCLOUD_SIM_SPEED") else { return Ok(builder) };
    let number = speed.parse::<f64>().ok().filter(|speed| *speed > 0.0);
    let speed = number.ok_or_else(|| format!("HCLOUD_SIM_SPEED is {speed:?}, not a number"))?;
    Ok(builder
        .without_ssh()
        .clock_speed(speed)
        .expected_run_time(Duration::from_secs(120).div_f64(speed)))
}
