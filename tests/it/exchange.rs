//! A provider's two functions against a strict vendor, without the gateway between: pictures to send, the job as the
//! gateway would fit it, and one exchange over a real socket.

use bytes::Bytes;
use easel::ImageRequest;
use easel::internals::calendar::Moment;
use easel::internals::capabilities::{FittedRequest, SizeTolerance};
use easel::internals::config::plan::{Model, Provider};
use easel::internals::image::{Format, Size};
use easel::internals::provider::{Call, Job, Reply, by_kind, capabilities};
use easel::internals::request::Input;
use easel::sandbox::Sandbox;
use easel_encode::{Encoding, Pixels, encode};
use http::{HeaderMap, HeaderName, HeaderValue};
use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};

/// A picture as a PNG file.
pub fn png(picture: impl Into<DynamicImage>) -> Bytes {
    let picture = picture.into();
    let alpha = picture.color().has_alpha();
    let (width, height) = (picture.width(), picture.height());
    let bytes = if alpha { picture.into_rgba8().into_raw() } else { picture.into_rgb8().into_raw() };
    encode(Pixels { bytes: &bytes, width, height, alpha }, Encoding::Png).unwrap().into()
}

/// A picture to start from.
pub fn input(width: u32, height: u32) -> Input {
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 9]));
    Input::new(png(picture), Format::Png, Size::new(width, height))
}

/// One whose left half is opaque and whose right half is clear: a picture and a mask in one.
pub fn half_clear(width: u32, height: u32) -> Input {
    let alpha = |x| if 2 * x < width { 255 } else { 0 };
    let picture = RgbaImage::from_fn(width, height, |x, y| Rgba([x as u8, y as u8, 9, alpha(x)]));
    Input::new(png(picture), Format::Png, Size::new(width, height))
}

/// `request` as the gateway fits it to a model.
pub fn fitted(provider: &Provider, model: &Model, request: &ImageRequest) -> FittedRequest {
    let able = capabilities(by_kind(provider.kind).unwrap(), &provider.account, model);
    able.fit(request, SizeTolerance { tolerance_ppm: 150_000, strict: false }).unwrap()
}

/// The job for all pictures of `request`.
pub fn job<'a>(provider: &'a Provider, model: &'a Model, request: &'a ImageRequest) -> Job<'a> {
    let left = std::time::Duration::from_secs(20);
    Job::new(&provider.account, model, request, &fitted(provider, model, request), request.n, left)
}

/// Sends a call to the sandbox under the name it gives its links, and reads the answer.
pub async fn exchange(sandbox: &Sandbox, call: &Call) -> Reply {
    let host = sandbox.addr().to_string();
    let headers = call.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let headers: Vec<(&str, &str)> = headers.chain([("host", host.as_str())]).collect();
    let mut client = crate::client::Client::connect(sandbox.addr()).await.lenient();
    let path = &call.url[url::Position::BeforePath..];
    client.send(call.method.as_str(), path, &headers, &call.body).await;
    let answer = client.receive().await.unwrap();
    let header = |(name, value): (&String, &String)| {
        (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
    };
    let headers: HeaderMap = answer.headers.iter().map(header).collect();
    Reply { status: answer.status, headers, body: answer.body.into(), at: Moment::default() }
}
