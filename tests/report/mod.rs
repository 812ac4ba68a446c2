//! What a run says of itself even where it passes: its seed, and what it counted.

/// Prints a line, and the test runner does not keep it to itself as it does that of `println!`.
macro_rules! report {
    ($($line:tt)+) => {{
        use std::io::Write as _;
        writeln!(std::io::stderr(), $($line)+).expect("stderr can be written")
    }};
}

pub(crate) use report;
