#![no_main]

use std::panic;

libfuzzer_sys::fuzz_target!(init: let_decoders_panic(), |data: &[u8]| easel_fuzz::picture(data));

/// A decoder that panics over a broken file is caught by Easel, and the picture rejected. The fuzzer ends at any panic, so
/// it is told of Easel's own alone.
fn let_decoders_panic() {
    let end = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let of_a_decoder = panic.location().is_some_and(|place| place.file().contains("/registry/"));
        if !of_a_decoder {
            end(panic);
        }
    }));
}
