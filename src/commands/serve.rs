//! `cloudigrade serve`: reports over HTTP.

use std::sync::Arc;

use cloudigrade_query::rest::{self, Rest};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Serve;
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};

/// Serves until SIGTERM or Ctrl-C; what is being answered is answered.
pub async fn run(data: &DataFolder, args: &Serve) -> anyhow::Result<Code> {
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let tables = data.open_tables().await?;
    let listener = TcpListener::bind(args.listen).await.map_err(|cause| {
        let help = match cause.kind() {
            std::io::ErrorKind::AddrInUse => "another program listens there: choose another with --listen",
            std::io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose another with --listen",
            _ => "choose another with --listen",
        };
        error(Code::Storage, format!("{} cannot be listened at: {cause}; {help}", args.listen))
    })?;
    eprintln!("listening at http://{}", listener.local_addr()?);
    if !args.listen.ip().is_loopback() {
        eprintln!("cloudigrade: there are no users yet: whoever reaches this address reads all reports");
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    let rest = Rest::new(tables, now, Arc::new(move || recorder.render()));
    rest::serve(rest, listener, stop).await;
    eprintln!("stopped");
    Ok(Code::Done)
}
