//! `cloudigrade images`: what is in machine images, as somebody says it is.

use crate::cli::{Answer, Images};
use crate::config::Config;
use crate::control::reach;
use crate::control::wire::OverrideRequest;
use crate::data::DataFolder;
use crate::exit::{Code, error};
use crate::output::tell;

/// Says what is in an image, by the server of the data folder or here.
pub async fn run(data: &DataFolder, args: Images, config: &Config) -> anyhow::Result<Code> {
    let Images::Override { image, product, is, reason, tenant, region } = args;
    if !data.has_log() {
        return Err(error(Code::NoInput, "there is no log to write it to: ingest first, or name the data folder with --data"));
    }
    let is = match is {
        Answer::Yes => Some(true),
        Answer::No => Some(false),
        Answer::None => None,
    };
    let whose = tenant.as_ref().map_or_else(|| "all tenants".to_owned(), |tenant| format!("the tenant {tenant}"));
    let said = match is {
        Some(true) => "is in it",
        Some(false) => "is not in it",
        None => "is left to the evidence",
    };
    let done = format!("{image}: for {whose}, {} {said}", product.word());
    reach::say_of_image(data, config, OverrideRequest { tenant, by: reach::by(), image_id: image, region, product, is, reason }).await?;
    tell(format_args!("{done}"));
    Ok(Code::Done)
}
