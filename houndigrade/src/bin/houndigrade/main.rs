//! The scanner: says what is on the disks of machine images, and writes it to standard output or sends it to a queue.

#[cfg(feature = "sqs")]
mod queue;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Parser, ValueEnum};
use cloudigrade_schemas::Findings;
use houndigrade::batch::{Target, inspect_all};
use houndigrade::sandbox::{Allowance, become_child_if_asked};
use houndigrade::table::table;

/// Say what is on the disks of machine images, without mounting them and without writing to them.
#[derive(Debug, Parser)]
#[command(name = "houndigrade", version, max_term_width = 110)]
#[command(
    after_help = "The report is always whole: what cannot be read, does not exist or takes too long is told in it, for that image.\n\
                  Exit codes: 0 the report was written, whatever it says; 1 it could not be written or sent; 2 wrong usage.\n\n\
                  Examples:\n  houndigrade --cloud aws --target ami-0123 /dev/xvdb --target ami-0456 /dev/xvdc\n  \
                  houndigrade --target golden disk.raw --format table"
)]
struct Arguments {
    /// The cloud that the images are of
    #[arg(short, long, value_enum, default_value_t = Cloud::Aws)]
    cloud: Cloud,
    /// An image's id, and a disk of it: a raw image file or a block device. Repeat it for more images, or more disks of an image
    #[arg(short, long = "target", num_args = 2, value_names = ["IMAGE_ID", "DEVICE"], action = ArgAction::Append, required = true)]
    targets: Vec<String>,
    /// How to write the report
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    #[cfg(feature = "sqs")]
    #[command(flatten)]
    queue: queue::Queue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cloud {
    Aws,
    Gcp,
    Azure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line of JSON, as schemas/json/inspection.findings.schema.json describes it
    Json,
    /// For people
    Table,
}

fn main() -> ExitCode {
    if let Some(code) = become_child_if_asked() {
        return code;
    }
    let arguments = Arguments::parse();
    let findings = inspect_all(word(arguments.cloud), &targets(&arguments.targets), Allowance::default());
    match deliver(findings, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("houndigrade: {message}");
            ExitCode::FAILURE
        }
    }
}

fn word(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Aws => "aws",
        Cloud::Gcp => "gcp",
        Cloud::Azure => "azure",
    }
}

fn targets(arguments: &[String]) -> Vec<Target> {
    Target::of_pairs(arguments.as_chunks().0.iter().map(|[image, device]| (image.clone(), PathBuf::from(device))))
}

/// Sends the report to the queue, if there is one; else, and if it cannot be sent, writes it to standard output.
#[cfg(feature = "sqs")]
fn deliver(findings: Findings, arguments: &Arguments) -> Result<(), String> {
    let Some(url) = &arguments.queue.queue_url else { return write(&findings, arguments.format) };
    let sent = queue::send(findings.clone(), url, &arguments.queue);
    if sent.is_err() {
        write(&findings, arguments.format)?;
    }
    sent.map_err(|error| format!("the report was not sent and is on standard output: {error}"))
}

#[cfg(not(feature = "sqs"))]
fn deliver(findings: Findings, arguments: &Arguments) -> Result<(), String> {
    write(&findings, arguments.format)
}

fn write(findings: &Findings, format: Format) -> Result<(), String> {
    let text = match format {
        Format::Json => serde_json::to_string(findings).map_err(|error| error.to_string())? + "\n",
        Format::Table => table(findings),
    };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| format!("the report cannot be written: {error}")),
    }
}
