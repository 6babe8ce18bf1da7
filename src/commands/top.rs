//! `cloudigrade top`: what a server is doing, again and again.

use std::io::IsTerminal;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cli::Top;
use crate::config::Config;
use crate::exit::Code;
use crate::output::{message, print, terminal_columns};
use crate::top::{Fetched, Look, Server, lines};

/// Moves to the beginning of the screen.
const HOME: &str = "\x1b[H";
/// Clears the rest of the line.
const REST_OF_LINE: &str = "\x1b[K";
/// Clears the rest of the screen.
const REST_OF_SCREEN: &str = "\x1b[J";

/// Shows it until Ctrl-C, or once.
pub fn run(args: &Top, config: &Config) -> anyhow::Result<Code> {
    let server = Server::of(&args.url.clone().unwrap_or_else(|| own(config)))?;
    let every = Duration::from_secs(u64::from(args.every.get()));
    let mut before: (Fetched, Instant) = (server.look()?, Instant::now());
    if args.once || !std::io::stdout().is_terminal() {
        sleep(every);
        let now = server.look()?;
        let shown = lines(&Look { url: &server.url(), now: &now, before: Some((&before.0, before.1.elapsed())) });
        print(|out| shown.iter().try_for_each(|line| writeln!(out, "{line}")))?;
        return Ok(Code::Done);
    }
    let mut shown = lines(&Look { url: &server.url(), now: &before.0, before: None });
    loop {
        draw(&shown)?;
        sleep(every);
        match server.look() {
            Ok(now) => {
                shown = lines(&Look { url: &server.url(), now: &now, before: Some((&before.0, before.1.elapsed())) });
                before = (now, Instant::now());
            }
            // What was seen last stays below: it may be the very thing that is looked for.
            Err(cause) => {
                if let Some(first) = shown.first_mut() {
                    *first = message(&cause);
                }
            }
        }
    }
}

/// The server that the configuration describes, as it is reached from here.
fn own(config: &Config) -> String {
    let mut listen = config.serve.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{listen}")
}

fn draw(lines: &[String]) -> anyhow::Result<()> {
    let (columns, rows) = (terminal_columns(), rows());
    print(|out| {
        out.write_all(HOME.as_bytes())?;
        // What does not fit would scroll; the last row is the cursor's.
        for line in lines.iter().take(rows.saturating_sub(1)) {
            let cut: String = line.chars().take(columns).collect();
            writeln!(out, "{cut}{REST_OF_LINE}")?;
        }
        out.write_all(REST_OF_SCREEN.as_bytes())
    })
}

/// Rows of the terminal; all that is shown fits where they are not known.
fn rows() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok().map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0).unwrap_or(usize::MAX)
}
