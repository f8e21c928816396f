//! What one picture costs, on one core.

use std::time::Duration;

use easel::internals::config::plan::{CheckSet, QualityCheck, QualityGate};
use easel::internals::quality::{Expected, examine};
use easel_fixtures::{Canvas, Class, Kind, scene};
use easel_pixels::{
    Backdrop, Decoded, Fingerprint, Histogram, Surface, Thumbnail, mosaic, noise, share_of_color, sharpness,
};

use crate::quality_verdict::format;

const SIDE: usize = 1024;
const MAX_PIXELS: u64 = 1 << 24;
/// Each is done so often.
const TIMES: u32 = 40;
/// What a picture may cost with all default checks, as the issue has it.
const BUDGET: Duration = Duration::from_millis(40);

/// CPU time that this thread has used, as the kernel counts it.
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with its scheduler's numbers");
    let nanoseconds = text.split_whitespace().next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number stands first"))
}

/// The mean over many runs: some kernels count in ticks of four milliseconds.
fn mean<T>(mut work: impl FnMut() -> T) -> Duration {
    let begin = thread_time();
    for _ in 0..TIMES {
        std::hint::black_box(work());
    }
    (thread_time() - begin) / TIMES
}

fn milliseconds(time: Duration) -> String {
    format!("{:6.1} ms", time.as_secs_f64() * 1e3)
}

/// Prints it, and returns what is over the budget.
pub fn print() -> Vec<String> {
    println!("CPU time for a picture of {SIDE}x{SIDE}, all default checks, the mean of {TIMES} times\n");
    println!("{:<20} {:<6} {:>9} {:>9} {:>9}", "picture", "format", "size", "decoded", "judged");
    let mut broken = Vec::new();
    let classes = [Class::Landscape, Class::Portrait, Class::Texture, Class::Logo];
    for (class, kind) in
        classes.into_iter().flat_map(|class| [Kind::Png, Kind::Jpeg, Kind::Webp].map(|kind| (class, kind)))
    {
        let file = scene(class, 3, SIDE, SIDE).file(kind);
        let pixels = match kind {
            Kind::Png => easel_pixels::Format::Png,
            Kind::Jpeg => easel_pixels::Format::Jpeg,
            Kind::Webp => easel_pixels::Format::Webp,
        };
        let decode = mean(|| Decoded::from_file(&file.bytes, pixels, MAX_PIXELS));
        let gate = QualityGate::default();
        let all = mean(|| examine(&file.bytes, format(&file), &gate, &Expected::default(), MAX_PIXELS));
        let size = format!("{} KiB", file.bytes.len() / 1024);
        let (decoded, judged) = (milliseconds(decode), milliseconds(all));
        println!("{:<20} {:<6} {size:>9} {decoded:>9} {judged:>9}", class.as_str(), format(&file).as_str());
        if all > BUDGET && kind != Kind::Webp {
            broken.push(format!("a {} as {kind:?} costs {}", class.as_str(), milliseconds(all).trim()));
        }
    }
    let reject = CheckSet::of(&[QualityCheck::WrongSize, QualityCheck::TooManyPixels]);
    let gate = QualityGate { reject, flag: CheckSet::default(), ..QualityGate::default() };
    let file = scene(Class::Landscape, 3, SIDE, SIDE).file(Kind::Png);
    let header = mean(|| examine(&file.bytes, format(&file), &gate, &Expected::default(), MAX_PIXELS));
    println!("\na gate that asks for the size alone: {}", milliseconds(header).trim());
    steps(&scene(Class::Landscape, 3, SIDE, SIDE));
    broken
}

fn steps(picture: &Canvas) {
    let bytes = picture.pixels.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    let decoded = Decoded::from_pixels(bytes, SIDE, SIDE, 3).expect("three bytes a pixel");
    let surface = Surface::new(&decoded, Backdrop::White);
    let thumbnail = Thumbnail::of(&surface);
    println!("\nof which, on decoded pixels");
    println!("  brightness of each pixel   {}", milliseconds(mean(|| Surface::new(&decoded, Backdrop::White))));
    println!("  histogram                  {}", milliseconds(mean(|| Histogram::of(&surface))));
    println!("  small copy                 {}", milliseconds(mean(|| Thumbnail::of(&surface))));
    println!("  sharpness                  {}", milliseconds(mean(|| sharpness(&surface, &thumbnail))));
    println!("  noise                      {}", milliseconds(mean(|| noise(&surface))));
    println!("  mosaic                     {}", milliseconds(mean(|| mosaic(&surface))));
    println!("  what it is compared by     {}", milliseconds(mean(|| Fingerprint::of(&thumbnail))));
    println!("  a brand's colour           {}", milliseconds(mean(|| share_of_color(&thumbnail, [220, 30, 60], 10.0))));
}
