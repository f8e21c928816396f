//! `easel sandbox`: local providers for whoever wants to try or test without a key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::gateway;
use crate::money::Usd;
use crate::sandbox::{Name, Rate, Sandbox, Settings};
use clap::Parser;

use crate::cli;

/// What a vendor can be told to do, for `--help`.
const MODES: &str = "A vendor misbehaves by order (`mode:` in the file, or POST /control/faults) or by chance (`faults:`):
  normal, down500, rate_limited, out_of_money, refusing, hang, garbage, no_pictures, truncated, overloaded
and, with the work done and on the invoice before anything goes wrong:
  unreadable (half an answer), gateway_timeout (504), cdn_timeout (524), redirect (307), cut (the connection breaks off),
  hanging_download (what a link leads to never comes)";

/// Arguments of `easel sandbox`. Flags apply to every vendor, over what the file says.
#[derive(Parser)]
#[command(after_help = MODES)]
pub struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Vendors' prices, delays and faults as YAML.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Price of a picture in dollars, where the file names none.
    #[arg(long)]
    price: Option<Usd>,
    /// How long drawing takes, like 300ms.
    #[arg(long, value_parser = humantime::parse_duration)]
    latency: Option<Duration>,
    /// Calls that fail with 500, like 10%.
    #[arg(long)]
    error_rate: Option<Rate>,
    /// Calls that are told to slow down (429).
    #[arg(long)]
    rate_limit_rate: Option<Rate>,
    /// Calls that are refused for their content.
    #[arg(long)]
    refusal_rate: Option<Rate>,
    /// Where every random choice starts.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs until interrupted.
pub fn run(args: Args) -> ExitCode {
    let listen = args.listen;
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(why) => return cli::problems(why),
    };
    let runtime = match cli::runtime(None) {
        Ok(runtime) => runtime,
        Err(error) => return cli::failed(format!("no runtime: {error}")),
    };
    runtime.block_on(async {
        let sandbox = match Sandbox::start(listen, settings).await {
            Ok(sandbox) => sandbox,
            Err(error) => return cli::failed(format!("cannot listen on {listen}: {error}")),
        };
        let url = sandbox.url();
        cli::say(format!("sandbox on {url}"));
        for name in Name::ALL {
            cli::say(format!("  {url}/{name}/"));
        }
        cli::say(format!("invoice: curl {url}/control/invoice"));
        if let Err(error) = tokio::signal::ctrl_c().await {
            return cli::failed(format!("no signals: {error}"));
        }
        sandbox.stop().await;
        ExitCode::SUCCESS
    })
}

fn settings(args: Args) -> Result<Settings, String> {
    let mut settings = match &args.settings {
        None => Settings::default(),
        Some(path) => {
            let text = gateway::read_file::text(path, gateway::read_file::CONFIG)
                .map_err(|why| format!("{}: {why}", path.display()))?;
            serde_yaml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    settings.seed = args.seed.unwrap_or(settings.seed);
    for name in Name::ALL {
        let vendor = settings.vendors.get_mut(name);
        vendor.default_price = args.price.unwrap_or(vendor.default_price);
        vendor.latency = args.latency.unwrap_or(vendor.latency);
        let faults = &mut vendor.faults;
        faults.error_rate = args.error_rate.unwrap_or(faults.error_rate);
        faults.rate_limit_rate = args.rate_limit_rate.unwrap_or(faults.rate_limit_rate);
        faults.refusal_rate = args.refusal_rate.unwrap_or(faults.refusal_rate);
    }
    Ok(settings)
}
