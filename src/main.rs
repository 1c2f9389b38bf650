//! The `vouchsafe` command: arguments, runtime, exit code.

use std::process::ExitCode;

use clap::Parser;
use vouchsafe::cli::{Cli, Exit};

fn main() -> ExitCode {
    // One provider of cryptography for everything, chosen before anything could choose another.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        return fail(&anyhow::anyhow!(
            "another provider of cryptography was installed"
        ));
    }
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ended = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let ended = runtime.block_on(cli.run());
        // What is over is over: a name that is still being looked up keeps nobody waiting.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error),
    }
}

/// An error, and below it each of its causes.
fn fail(error: &anyhow::Error) -> ExitCode {
    use std::io::Write;
    let lines: Vec<String> = error.chain().map(ToString::to_string).collect();
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "error: {}", lines.join("\n  because: "));
    Exit::Usage.into()
}
