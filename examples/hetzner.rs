use std::error::Error;
use std::time::Duration;

use cloudd_hcloud::{Hcloud, HcloudBuilder, ImageBuilder};

/// Hetzner Cloud, with the API token of `HCLOUD_TOKEN`.
///
/// # Errors
/// Those of [`builder`]; `HCLOUD_ENDPOINT` is malformed.
pub fn hetzner() -> Result<Hcloud, Box<dyn Error>> {
    Ok(builder()?.build()?)
}

/// An image builder whose builds also succeed on the simulator, if `HCLOUD_SIM_SPEED` is set: its servers
/// do not speak SSH, so that only power-off says that stage 2 has finished.
pub fn for_simulator(builder: ImageBuilder) -> ImageBuilder {
    match std::env::var_os("HCLOUD_SIM_SPEED") {
        Some(_) => builder.trust_power_off(),
        None => builder,
    }
}

/// A builder for Hetzner Cloud or, if `HCLOUD_SIM_SPEED` is set, for its simulator (see
/// `README.md`).
///
/// For Hetzner Cloud, this is [`Hcloud::builder_from_env`]. The simulator is at `HCLOUD_ENDPOINT`, and
/// its clock runs `HCLOUD_SIM_SPEED` times as fast. Its servers do not speak SSH, so a build follows
/// only their power state.
///
/// # Errors
/// `HCLOUD_TOKEN` is missing or malformed; `HCLOUD_SIM_SPEED` is not a positive number.
pub fn builder() -> Result<HcloudBuilder, Box<dyn Error>> {
    let builder = Hcloud::builder_from_env()?;
    let Ok(speed) = std::env::var("HCLOUD_SIM_SPEED") else { return Ok(builder) };
    let number = speed.parse::<f64>().ok().filter(|speed| *speed > 0.0);
    let speed = number
        .ok_or_else(|| format!("HCLOUD_SIM_SPEED is {speed:?}: expected a positive number"))?;
    Ok(builder
        .without_ssh()
        .clock_speed(speed)
        .expected_run_time(Duration::from_secs(120).div_f64(speed)))
}
