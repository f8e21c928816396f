//! The traffic of a run: who asks for what and when, and the config that serves it. All of it follows from the seed.

use std::time::Duration;

use easel::reload::{self, ProcessEnv};
use easel::{Plan, Usd};
use serde_json::{Value, json};

/// How long a live client waits.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Pictures of one live request.
pub const VARIANTS: u8 = 4;

/// How much more is asked for in the burst.
const BURST: f64 = 20.0;

/// Live requests a second before the burst: a quarter of what the capped provider can draw. Twenty times as many are more than
/// all three providers draw together (see [`PROVIDERS`]), so that some must be turned away.
const STEADY: f64 = 0.8;

/// One provider, as the config and the vendor know it.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    pub name: &'static str,
    /// Calls that it carries out at once. A vendor answers 429 to one more.
    pub cap: usize,
    /// Nano-dollars a picture.
    pub price: i64,
    /// Pictures a call can draw.
    pub max_n: u8,
}

/// With a median of 3 s a call (3.2 s on average) they draw 12, 12 and 31 pictures a second; the burst asks for 64.
pub const PROVIDERS: [Provider; 3] = [
    Provider { name: "capped", cap: 10, price: 20_000_000, max_n: 4 },
    Provider { name: "reserved", cap: 40, price: 10_000_000, max_n: 1 },
    // Paid by the picture, and asked only when both others are full. It has a bound too: there is always one.
    Provider { name: "metered", cap: 100, price: 40_000_000, max_n: 1 },
];

/// What a vendor takes for a call: `exp` of a normal distribution around this median, so that one call in a hundred takes
/// twice as long.
pub const MEDIAN: Duration = Duration::from_secs(3);
pub const SIGMA: f64 = 0.3;

/// Tenants that ask live.
const TENANTS: [&str; 4] = ["shop", "studio", "press", "school"];
/// The tenant of the batch job.
pub const BATCH_TENANT: &str = "night";
/// The batch job that comes with the burst, one picture a request.
pub const BATCH_JOBS: u64 = 10_000;
/// Requests of the batch job that are sent at once; one that is turned away is sent again later.
pub const BATCH_WORKERS: u64 = 200;

/// What a run is.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    pub seed: u64,
    pub steady: Duration,
    pub burst: Duration,
    pub with_batch: bool,
}

/// One live request.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub number: u64,
    /// Since the beginning.
    pub at: Duration,
    pub tenant: &'static str,
    pub in_burst: bool,
}

impl Traffic {
    /// When no further request comes.
    pub fn end(&self) -> Duration {
        self.steady + self.burst
    }

    /// The live requests in their order: at any moment the next one is as likely as at any other.
    pub fn arrivals(self) -> impl Iterator<Item = Arrival> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut at = Duration::ZERO;
        (0..)
            .map(move |number| {
                // Exponential gaps have no memory, so one that crosses the beginning of the burst is only cut there.
                let mut gap = -(1.0 - random.f64()).ln() / STEADY;
                let before = self.steady.saturating_sub(at).as_secs_f64();
                if gap > before {
                    gap = before + (gap - before) / BURST;
                }
                at += Duration::from_secs_f64(gap);
                let tenant = TENANTS[random.usize(..TENANTS.len())];
                Arrival { number, at, tenant, in_burst: at >= self.steady }
            })
            .take_while(move |arrival| arrival.at < self.end())
    }
}

impl Arrival {
    /// Its body.
    pub fn body(&self) -> Value {
        body(&format!("mockup {}", self.number), "mockup", VARIANTS)
    }
}

/// The body of a job of the batch.
pub fn batch_body(job: u64) -> Value {
    body(&format!("catalogue {job}"), "catalogue", 1)
}

/// Whether a vendor is asked this for the batch.
pub fn is_batch(prompt: &str) -> bool {
    prompt.starts_with("catalogue ")
}

fn body(prompt: &str, model: &str, n: u8) -> Value {
    json!({"model": model, "prompt": prompt, "n": n, "size": "64x64"})
}

/// How long a job that was turned away for the `nth` time, or failed, waits: as long as it was told, and longer each time, up to
/// a minute. Each a little longer than the others, so that they do not come back together.
pub fn batch_pause(told: Option<Duration>, nth: u32, random: &mut fastrand::Rng) -> Duration {
    let growing = Duration::from_millis(500).saturating_mul(1 << nth.min(7)).min(Duration::from_secs(60));
    told.unwrap_or_default().max(growing).mul_f64(1.0 + 0.2 * random.f64())
}

/// The checked config, with its vendors at these addresses.
pub fn plan(urls: [&str; 3]) -> Result<Plan, String> {
    let keys = TENANTS.into_iter().chain([BATCH_TENANT]).map(|name| {
        let priority = if name == BATCH_TENANT { ", priority: batch" } else { "" };
        format!("  - {{name: {name}, key_sha256: {}{priority}}}\n", sha256(name))
    });
    let providers = PROVIDERS.iter().zip(urls).map(|(provider, url)| {
        let Provider { name, cap, price, max_n } = provider;
        format!(
            "  {name}: {{kind: openai_compatible, base_url: '{url}', api_key: k, concurrency: {{limit: {cap}}}, \
             models: {{m: {{price: {}, max_n: {max_n}, sizes: any}}}}}}\n",
            Usd::from_nanos(*price)
        )
    });
    let offers = "[capped/m, reserved/m, {offer: metered/m, when: [saturated, unavailable]}]";
    let deadline = DEADLINE.as_secs();
    let text = format!(
        "server: {{listen: '127.0.0.1:0', admin: '127.0.0.1:0', limits: {{in_flight: 10000, connections: 10000}}}}\n\
         clients:\n{}providers:\n{}routes:\n  \
         - {{name: live, quality: false, match: {{models: [mockup]}}, offers: {offers}, deadline: {{after: {deadline}s, then: fail}}}}\n  \
         - {{name: batch, quality: false, match: {{models: [catalogue]}}, offers: {offers}, deadline: 120s}}\n",
        keys.collect::<String>(),
        providers.collect::<String>()
    );
    reload::check("burst.yaml", &text, &ProcessEnv).map_err(|error| error.to_string())
}

/// The key of a tenant is its name.
fn sha256(name: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect()
}
