#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| easel_fuzz::prompts(data));
