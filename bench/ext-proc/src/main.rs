//! An external processor for Envoy over a Unix socket: an echo, or this project's decision natively.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use pointsman_core::config::Config;
use pointsman_core::prompt::ApiFormat;
use pointsman_core::router::Router;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

mod messages;
mod service;

use service::{Decide, Processor};

/// Serve envoy.service.ext_proc.v3 on a Unix socket.
#[derive(Parser)]
struct Arguments {
    /// What to do with a body
    #[arg(long, value_enum)]
    mode: Mode,
    /// Socket to listen on; replaced if it is there
    #[arg(long, value_name = "FILE")]
    listen: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// Route to the cheap target without a look at the body
    Echo,
    /// Decide with the embedded model
    Core,
}

/// What the filter of the comparison is configured with, too.
const CONFIGURATION: &[u8] = include_bytes!("../../configs/pointsman/route.json");

/// One thread: Envoy has one worker, and handing messages from thread to thread costs more than
/// handling them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let decide: Arc<Decide> = match arguments.mode {
        Mode::Echo => Arc::new(|_: Vec<u8>| "cheap".to_owned()),
        Mode::Core => {
            let router = Router::new(Config::from_json(CONFIGURATION)?)?;
            Arc::new(move |mut body: Vec<u8>| {
                let decision = router.decide(ApiFormat::ChatCompletions, &mut body, false);
                let target = router.target(&decision);
                target.map_or_else(|| "strong".to_owned(), |target| target.cluster.clone())
            })
        }
    };
    let _ = std::fs::remove_file(&arguments.listen);
    let listener = UnixListener::bind(&arguments.listen)
        .with_context(|| arguments.listen.display().to_string())?;
    let incoming = UnixListenerStream::new(listener);
    Server::builder().add_service(Processor::new(decide)).serve_with_incoming(incoming).await?;
    Ok(())
}
