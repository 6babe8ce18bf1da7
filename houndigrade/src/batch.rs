//! A batch of images: each inspected by itself, all in one message, and what fails of one is told beside the others.

use std::path::PathBuf;

use cloudigrade_schemas::Findings;

use crate::sandbox::{Allowance, inspect_apart};

/// An image and its disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The image's id.
    pub image: String,
    /// Its disks: files or block devices.
    pub devices: Vec<PathBuf>,
}

impl Target {
    /// The targets of pairs of an image's id and a device: devices of the same image are disks of one machine.
    pub fn of_pairs(pairs: impl IntoIterator<Item = (String, PathBuf)>) -> Vec<Self> {
        let mut targets: Vec<Self> = Vec::new();
        for (image, device) in pairs {
            match targets.iter_mut().find(|target| target.image == image) {
                Some(target) => target.devices.push(device),
                None => targets.push(Self { image, devices: vec![device] }),
            }
        }
        targets
    }
}

/// Inspects all targets, one after the other. Always gives findings: what fails is in them.
pub fn inspect_all(cloud: &str, targets: &[Target], allowance: Allowance) -> Findings {
    let mut findings = Findings { cloud: cloud.to_owned(), ..Findings::default() };
    for target in targets {
        let image = inspect_apart(&target.image, &target.devices, allowance);
        findings.errors.extend(image.errors.iter().cloned());
        findings.images.insert(target.image.clone(), image);
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_one_image_are_disks_of_one_machine() {
        let pair = |image: &str, device: &str| (image.to_owned(), PathBuf::from(device));
        let targets = Target::of_pairs([pair("a", "/1"), pair("b", "/2"), pair("a", "/3")]);
        assert_eq!(targets.len(), 2);
        assert_eq!((targets[0].image.as_str(), targets[0].devices.len()), ("a", 2));
    }

    #[test]
    fn each_image_is_in_the_findings_and_each_error_in_both_lists() {
        let targets = ["a", "b"].map(|image| Target { image: image.into(), devices: vec![PathBuf::from("/dev/none")] });
        let findings = inspect_all("aws", &targets, Allowance::default());
        assert_eq!(findings.errors, ["Nothing found at path /dev/none for a", "Nothing found at path /dev/none for b"]);
        assert_eq!(findings.images["b"].errors.len(), 1);
        assert_eq!((findings.cloud.as_str(), findings.images.len()), ("aws", 2));
    }
}
