//! Logs: to standard error, as text on a terminal and as JSON otherwise.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::util::TryInitError;

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// For people, in colour on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error(
        "the log filter {filter:?} cannot be read: `info`, or `vouchsafe=debug,info`, is understood"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What the parser says.
        #[source]
        source: ParseError,
    },
    /// The process has logs already.
    #[error("logs are set up already")]
    Twice {
        /// What the library says.
        #[source]
        source: TryInitError,
    },
}

/// What is not logged unless the filter names it: the client of the API server tells each failed attempt, which we tell ourselves, and
/// would tell an answer that it cannot read, which may be a Secret.
const QUIET: &str = "kube_client=off";

/// Sets up the logs of the process.
///
/// `format` absent means text on a terminal and JSON otherwise; `colour` is asked for only where it may be used at all.
pub fn init(format: Option<LogFormat>, filter: &str, colour: bool) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let level = EnvFilter::try_new(format!("{QUIET},{filter}")).map_err(|source| {
        TelemetryError::Filter {
            filter: filter.to_owned(),
            source,
        }
    })?;
    let terminal = stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(stderr)
        .with_ansi(colour && terminal);
    let installed = match format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    }) {
        LogFormat::Text => builder.finish().try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .finish()
            .try_init(),
    };
    installed.map_err(|source| TelemetryError::Twice { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_filter_that_it_cannot_read() {
        assert!(matches!(
            init(None, "vouchsafe=loud", false),
            Err(TelemetryError::Filter { .. })
        ));
    }
}
