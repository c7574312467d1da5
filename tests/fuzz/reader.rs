//! Hands what the fuzzer makes up to the reader that this program is named for.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mvc::fuzzing::run(env!("CARGO_BIN_NAME"), bytes));
