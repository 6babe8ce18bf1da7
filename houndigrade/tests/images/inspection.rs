//! The inspection of images by the built program, as a user starts it.

use std::process::Command;
use std::time::Duration;

use cloudigrade_schemas::findings::{Facts, Findings, ImageFindings, PartitionFindings};

use crate::build::image::Image;
use crate::tools;

/// The id that all images are inspected under.
const ID: &str = "ami-1";
/// No image of these tests may take longer, on a slow machine and without optimisation.
const DURATION_MAX: Duration = Duration::from_secs(60);
/// Nor may any take more memory: bytes.
const MEMORY_MAX: u64 = 512 << 20;

/// What was found on one machine's disks.
pub struct Inspection {
    pub image: ImageFindings,
    /// The findings as they were printed.
    pub json: String,
}

impl Inspection {
    /// Inspects the disks of one machine. Whatever is on them: the program succeeds, says something well formed, in time, and the disks'
    /// bytes are what they were.
    pub fn of(disks: &[&Image]) -> Self {
        let before: Vec<_> = disks.iter().map(|disk| disk.sha256()).collect();
        let targets: Vec<_> = disks.iter().map(|disk| (ID, *disk)).collect();
        let (printed, weight) = tools::weigh(&command(&targets));
        assert!(weight.time < DURATION_MAX, "took {:?}", weight.time);
        assert!(weight.peak < MEMORY_MAX, "held {} bytes", weight.peak);
        let after: Vec<_> = disks.iter().map(|disk| disk.sha256()).collect();
        assert_eq!(before, after, "an image was changed");
        let json = String::from_utf8(printed).unwrap();
        let mut findings = parse(&json);
        assert_eq!(findings.images.len(), 1, "{json}");
        Self { image: findings.images.remove(ID).unwrap(), json }
    }

    /// The facts of the only system that was found.
    pub fn facts(&self) -> &Facts {
        let mut systems = self.volumes().filter_map(|(_, volume)| volume.facts.as_ref().filter(|facts| facts.is_system));
        let facts = systems.next().unwrap_or_else(|| panic!("no system was found: {}", self.json));
        assert!(systems.next().is_none(), "more than one system was found: {}", self.json);
        facts
    }

    /// The only volume whose name ends as given.
    pub fn volume(&self, name_ends: &str) -> &PartitionFindings {
        let mut volumes = self.volumes().filter(|(name, _)| name.ends_with(name_ends));
        let (_, volume) = volumes.next().unwrap_or_else(|| panic!("no volume {name_ends}: {}", self.json));
        assert!(volumes.next().is_none(), "several volumes {name_ends}: {}", self.json);
        volume
    }

    /// All volumes by name.
    pub fn volumes(&self) -> impl Iterator<Item = (&str, &PartitionFindings)> {
        self.image.drives.values().flatten().map(|(name, volume)| (name.as_str(), volume))
    }

    /// Checks that RHEL of a version was found, with nothing left in doubt.
    #[track_caller]
    pub fn assert_rhel(&self, version: &str) {
        assert_eq!(self.image.is_rhel, Some(true), "{}", self.json);
        assert_eq!(
            self.image.distribution.as_ref().and_then(|distribution| distribution.version.as_deref()),
            Some(version),
            "{}",
            self.json
        );
        assert_eq!(self.image.inspected.word(), "complete", "{}", self.json);
    }

    /// Checks that what was found cannot be taken for "there is no RHEL".
    #[track_caller]
    pub fn assert_not_silent(&self, inspected: &str) {
        assert_eq!(self.image.inspected.word(), inspected, "{}", self.json);
        assert_ne!(self.image.is_rhel, Some(false), "{}", self.json);
    }
}

/// The program on targets.
pub fn command(targets: &[(&str, &Image)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_houndigrade"));
    command.args(["--cloud", "aws", "--format", "json"]);
    for (id, disk) in targets {
        command.args(["--target", id]).arg(disk.path());
    }
    command
}

/// Reads findings that were printed.
pub fn parse(json: &str) -> Findings {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}
