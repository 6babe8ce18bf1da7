//! The command line of machine images and their inspections.

use clap::{Subcommand, ValueEnum};
use cloudigrade_schemas::Product;

use super::Output;

#[derive(Debug, Subcommand)]
pub enum Images {
    /// The images that were used, and what is in them
    List {
        #[command(flatten)]
        output: Output,
    },
    /// One image, with all evidence, what was said against it, and how far its inspection is
    Show {
        /// The image
        image: String,
        #[command(flatten)]
        output: Output,
    },
    /// Have an image's disk read, or read again; says what that is expected to cost and asks first
    #[command(
        after_help = "It agrees to what an inspection costs that waits for that. What is in the image is in the reports when it was read.\n\nExample:\n  cloudigrade images inspect ami-0123456789abcdef0 --yes"
    )]
    Inspect {
        /// The image
        image: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Say whether a product is in an image, whatever the evidence; the latest word holds
    #[command(
        after_help = "Example:\n  cloudigrade images override ami-0123456789abcdef0 --product rhel --is no --reason \"CentOS, by its owner\""
    )]
    Override {
        /// The image
        image: String,
        /// About which product: rhel or openshift
        #[arg(long, value_name = "PRODUCT", value_parser = product)]
        product: Product,
        /// yes, no, or none to leave it to the evidence again
        #[arg(long, value_enum, value_name = "ANSWER")]
        is: Answer,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// For whose accounts [default: all tenants']
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// The region that the image is in, where it was never seen
        #[arg(long, value_name = "REGION")]
        region: Option<String>,
    },
}

/// An answer to whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Answer {
    /// It is
    Yes,
    /// It is not
    No,
    /// Whatever the evidence says
    None,
}

fn product(text: &str) -> Result<Product, String> {
    Product::ALL.into_iter().find(|product| product.word() == text).ok_or_else(|| "it is rhel or openshift".to_owned())
}

#[derive(Debug, Subcommand)]
#[command(
    after_help = "ID is that of an attempt, or the beginning of it. While a server runs on the same --data, it is asked; otherwise the data folder is opened."
)]
pub enum Inspections {
    /// Attempts to read the disks of images that are at work, the latest changes first
    List {
        /// With those that are over
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// One attempt: how far it is, what is in its way, what it made, what it is expected to cost
    Show {
        /// Its id
        id: String,
        /// How to print it
        #[arg(long, value_enum, default_value_t = InspectionFormat::Table)]
        format: InspectionFormat,
    },
    /// Have the image of an attempt inspected again, as `images inspect` does; says what that is expected to cost and asks first
    Retry {
        /// Its id
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Give an attempt up, and remove all that it made
    Abort {
        /// Its id
        id: String,
    },
}

/// How one inspection is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InspectionFormat {
    /// For people
    Table,
    /// One JSON object, as schemas/json/inspections.schema.json describes it
    Json,
}
