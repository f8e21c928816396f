//! How long each vendor's 429 and 503 asks to wait, wherever the vendor says it.

use crate::provider::vendor_error_tests::*;

/// Kind, model, status, headers, body, milliseconds.
type Row<'a> = (&'a str, &'a str, u16, &'a [(&'static str, &'static str)], &'a str, Option<u64>);

#[test]
fn each_vendors_waiting_time_is_read_where_that_vendor_says_it() {
    let openai = r#"{"error":{"message":"Rate limit reached for gpt-image-2 on input-images per min: Limit 5, Used 5, Requested 1. Please try again in 12s.","type":"input-images","param":null,"code":"rate_limit_exceeded"}}"#;
    let silent =
        r#"{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let azure = r#"{"error":{"code":"429","message":"Please retry after 26 seconds."}}"#;
    let google = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded. Please retry in 9.5s.","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"41s"}]}}"#;
    let google_words =
        r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded. Please retry in 9.5s."}}"#;
    let stability = r#"{"id":"x","name":"rate_limit_exceeded","errors":["150 in 10 s"]}"#;
    let replicate = r#"{"detail":"Request was throttled. Your rate limit resets in ~30s."}"#;
    let bfl = r#"{"error":"rate_limit_exceeded","message":"slow","retry_after":5}"#;
    let resets: &[_] = &[
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-ratelimit-remaining-tokens", "100"),
        ("x-ratelimit-reset-tokens", "1h"),
    ];
    let rows: &[Row<'_>] = &[
        ("openai", "gpt-image-2", 429, &[], openai, Some(12_000)),
        ("openai", "gpt-image-2", 429, &[("retry-after", "7")], openai, Some(7_000)),
        ("openai", "gpt-image-2", 429, &[("retry-after", "7"), ("retry-after-ms", "6500")], openai, Some(6_500)),
        ("openai", "gpt-image-2", 429, &[("retry-after", "Thu, 01 Jan 1970 00:00:09 GMT")], silent, Some(9_000)),
        ("openai", "gpt-image-2", 429, resets, silent, Some(360_000)),
        ("openai", "gpt-image-2", 429, resets, openai, Some(12_000)),
        ("openai", "gpt-image-2", 429, &[], silent, None),
        ("openai", "gpt-image-2", 503, resets, r#"{"error":{"message":"overloaded","type":"server_error"}}"#, None),
        ("openai_compatible", "any", 429, &[], openai, Some(12_000)),
        ("openai_compatible", "any", 429, &[("x-ratelimit-reset", "3")], r#"{"message":"slow"}"#, Some(3_000)),
        ("azure", "gpt-image-1", 429, &[], azure, Some(26_000)),
        ("azure", "gpt-image-1", 429, &[("retry-after-ms", "900")], azure, Some(900)),
        ("google", "gemini-3-pro-image", 429, &[], google, Some(41_000)),
        ("google", "gemini-3-pro-image", 429, &[], google_words, Some(9_500)),
        ("google", "gemini-3-pro-image", 503, &[("retry-after", "4")], "{}", Some(4_000)),
        ("stability", "core", 429, &[], stability, Some(60_000)),
        ("stability", "core", 429, &[("retry-after", "3")], stability, Some(3_000)),
        ("stability", "stable-diffusion-xl-1024-v1-0", 429, &[], stability, Some(60_000)),
        ("replicate", "black-forest-labs/flux-schnell", 429, &[], replicate, Some(30_000)),
        (
            "openrouter",
            "openai/gpt-image-2",
            429,
            &[("retry-after", "8")],
            r#"{"error":{"code":429,"message":"m"}}"#,
            Some(8_000),
        ),
        ("bfl", "flux-2-pro", 429, &[], bfl, Some(5_000)),
        ("bfl", "flux-2-pro", 429, &[("x-ratelimit-reset", "2")], r#"{"detail":"Too many"}"#, Some(2_000)),
        (
            "dashscope",
            "qwen-image-2.0",
            429,
            &[("retry-after", "2")],
            r#"{"code":"Throttling","message":"m"}"#,
            Some(2_000),
        ),
        ("fal", "fal-ai/flux/schnell", 429, &[("retry-after", "3")], r#"{"detail":"slow"}"#, Some(3_000)),
    ];
    for (kind, model, status, headers, body, millis) in rows {
        let fixture = JobFixture::new(kind, model, r#"{"prompt":"a red fox"}"#);
        let reply = fixture.reply(*status, body);
        let reply = headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value));
        let failure = match fixture.provider.read(&fixture.job(), &reply) {
            Step::Failed(failure) => failure,
            other => panic!("{kind} {status} {body}: {other:?}"),
        };
        let told = failure.retry_after.map(|told| u64::try_from(told.as_millis()).unwrap());
        assert_eq!(told, *millis, "{kind} {status} {headers:?} {body}: {failure}");
    }
}
