//! Writing results and messages.

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use cloudigrade_query::{Format, QueryError, RowWriter, TableStyle, printable};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Output;
use crate::exit::{Code, error};

/// How often the progress line is drawn anew.
const REDRAW: Duration = Duration::from_millis(100);

/// Where rows go, in which format.
pub struct Destination {
    format: Format,
    file: Option<std::path::PathBuf>,
}

impl Destination {
    /// The destination that the command line asks for.
    ///
    /// # Errors
    /// For a binary format on a terminal.
    pub fn of(output: &Output) -> anyhow::Result<Self> {
        let format = match output.format.parse().map_err(|unknown| error(Code::Usage, format!("{unknown}")))? {
            Format::Table(_) => Format::Table(table_style()),
            format => format,
        };
        let binary = matches!(format, Format::Parquet | Format::Arrow);
        if binary && output.output.is_none() && io::stdout().is_terminal() {
            return Err(error(Code::Usage, format!("{} is not for a terminal: add --output FILE, or send it on with |", output.format)));
        }
        Ok(Self { format, file: output.output.clone() })
    }

    /// Whether people will read it.
    pub fn is_table(&self) -> bool {
        matches!(self.format, Format::Table(_)) && self.file.is_none()
    }

    /// Begins a result.
    pub fn begin(&self, schema: &Schema) -> anyhow::Result<RowWriter<Box<dyn Write + Send>>> {
        let out: Box<dyn Write + Send> = match &self.file {
            Some(path) => {
                let file =
                    File::create(path).map_err(|cause| error(Code::Storage, format!("{}: cannot be written: {cause}", path.display())))?;
                Box::new(BufWriter::new(file))
            }
            None => Box::new(BufWriter::new(io::stdout())),
        };
        Ok(RowWriter::new(self.format, schema, out)?)
    }

    /// Writes a whole result.
    pub fn write(&self, schema: &Schema, batches: &[RecordBatch]) -> anyhow::Result<()> {
        let mut writer = self.begin(schema)?;
        batches.iter().try_for_each(|batch| writer.write(batch))?;
        writer.finish()?.flush()?;
        Ok(())
    }
}

/// Boxes where the terminal can show them.
pub fn table_style() -> TableStyle {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
    match locale.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8")) {
        true => TableStyle::Unicode,
        false => TableStyle::Ascii,
    }
}

/// Whether colours may be used on standard output.
pub fn may_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of the terminal.
pub fn terminal_columns() -> usize {
    /// Where the width is not known.
    const COLUMNS: usize = 100;
    // A terminal that does not know its size says 0.
    comfy_table::Table::new().width().map(usize::from).filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}

/// Writes to standard output, whose failures are errors as any other: it may be a file on a full disk, or a pipe that was closed.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).map_err(QueryError::Output)?;
    Ok(())
}

/// One field a line: long texts do not fit into a table.
pub fn print_records(batches: &[RecordBatch]) -> anyhow::Result<()> {
    let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%SZ"));
    let mut lines = String::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            for (column, field) in batch.columns().iter().zip(batch.schema().fields()) {
                let value = ArrayFormatter::try_new(column, &options)?.value(row).to_string();
                writeln!(lines, "{:<23} {}", field.name(), printable(&value))?;
            }
        }
    }
    print(|out| out.write_all(lines.as_bytes()))
}

/// Does something long, with a line on a terminal that says how far it has come; `say` is told for how long it has been going on.
pub fn with_progress_line<T>(say: impl Fn(Duration) -> String + Sync, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    /// Ends the line, however the work ends.
    struct Ends<'a>(&'a AtomicBool);

    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ends = Ends(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                bar.set_message(say(bar.elapsed()));
                bar.tick();
                thread::park_timeout(REDRAW);
            }
            bar.finish_and_clear();
        });
        work()
    })
}

/// Says something to people, on standard error. Where nobody can read it any more there is nobody to tell: unlike `eprintln!`, this ends
/// neither the program nor the task that, say, waits for signals.
pub fn tell(message: impl Display) {
    let _ = io::stderr().lock().write_all(format!("{message}\n").as_bytes());
}

/// An error's message, with the causes that it does not already tell.
pub fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    message
}

/// Whether whoever read our output has closed it, as `head` does: no failure of ours.
pub fn reader_is_gone(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| match cause.downcast_ref::<QueryError>() {
        Some(QueryError::Output(error)) => broken(error),
        _ => cause.downcast_ref::<io::Error>().is_some_and(broken),
    })
}
