//! The `easel` command. All of it is in `cli`.

use std::process::ExitCode;

/// Pictures come and go by the megabyte. The system's allocator gives such blocks back to the kernel and has each page
/// of the next one mapped and cleared again, which is a third of what a miss of 1.5 MB costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    easel::cli::main()
}
