//! Whatever bytes a guest sends, in whatever pieces they come.
#![no_main]

#[path = "../../tests/guest_events/judge.rs"]
mod judge;

libfuzzer_sys::fuzz_target!(|input: (&[u8], u8)| {
    // The first bytes say how the others are cut.
    let (bytes, cuts) = input;
    let (lengths, bytes) = bytes.split_at(bytes.len().min(usize::from(cuts % 8)));
    let lengths: Vec<usize> = lengths.iter().map(|length| usize::from(*length)).collect();
    judge::judge(bytes, &lengths);
});
