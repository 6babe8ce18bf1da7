//! `cloudigrade inspect`: what is on the disks of a machine image.

use houndigrade::batch::{Target, inspect_all};
use houndigrade::sandbox::Allowance;
use houndigrade::table::table;

use crate::cli::{FindingsFormat, Inspect};
use crate::exit::Code;
use crate::output;

/// The cloud of images that lie here.
const CLOUD: &str = "local";

/// Inspects the disks and prints the report, which tells all that failed. The code tells only whether there was something to read.
pub fn run(args: Inspect) -> anyhow::Result<Code> {
    let is_missing = args.files.iter().any(|file| !file.exists());
    let findings = inspect_all(CLOUD, &[Target { image: args.image_id, devices: args.files }], Allowance::default());
    let text = match args.format {
        FindingsFormat::Json => serde_json::to_string(&findings)? + "\n",
        FindingsFormat::Table => table(&findings),
    };
    output::print(|out| out.write_all(text.as_bytes()))?;
    Ok(if is_missing { Code::NoInput } else { Code::Done })
}
