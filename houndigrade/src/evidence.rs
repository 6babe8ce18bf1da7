//! Findings that are too large for where they go: the verbatim contents of files are left out, which is told, and the verdict stays.

use cloudigrade_schemas::findings::{Findings, ImageFindings};

/// What stands where contents were left out.
const LEFT_OUT: &str = "contents of files were left out, because with them the findings are larger than the limit of";

/// Leaves out of one image's findings what must be for them to have at most so many bytes as JSON. What stays larger without any contents
/// is left as it is.
pub fn fit(image: &mut ImageFindings, bytes_max: usize) {
    if bytes(image) > bytes_max {
        leave_out(image, bytes_max);
    }
}

/// As [`fit`], for a whole batch. Returns whether it fits.
pub fn fit_all(findings: &mut Findings, bytes_max: usize) -> bool {
    if bytes(findings) > bytes_max {
        findings.images.values_mut().for_each(|image| leave_out(image, bytes_max));
    }
    bytes(findings) <= bytes_max
}

fn bytes(of: &impl serde::Serialize) -> usize {
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, of) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(text.len());
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn leave_out(image: &mut ImageFindings, bytes_max: usize) {
    for partition in image.drives.values_mut().flat_map(|drive| drive.values_mut()) {
        let Some(facts) = &mut partition.facts else { continue };
        facts.rhel_release_files.release_files.iter_mut().for_each(|file| file.rhel_release_file_contents = None);
        facts.rhel_enabled_repos.rhel_enabled_repos.clear();
        facts.rhel_enabled_repos.rhel_effective_repos.clear();
        facts.rhel_product_certs.products.clear();
        facts.rhel_signed_packages.databases.iter_mut().for_each(|database| database.release_packages.clear());
    }
    image.caveats.push(format!("{LEFT_OUT} {bytes_max} bytes"));
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::findings::{Facts, PartitionFindings, ReleaseFile};

    use super::*;

    fn image(text: &str) -> ImageFindings {
        let mut facts = Facts::default();
        facts.rhel_release_files.release_files.push(ReleaseFile {
            rhel_release_file: "/etc/redhat-release".into(),
            rhel_release_file_contents: Some(text.into()),
            rhel_found: true,
        });
        let mut image = ImageFindings { is_rhel: Some(true), ..Default::default() };
        let partition = PartitionFindings { facts: Some(facts), ..Default::default() };
        image.drives.entry("/dev/xvdb".into()).or_default().insert("/dev/xvdb1".into(), partition);
        image
    }

    #[test]
    fn what_is_too_large_loses_contents_keeps_the_verdict_and_says_so() {
        let mut large = image(&"x".repeat(100_000));
        fit(&mut large, 10_000);
        assert_eq!(large.is_rhel, Some(true));
        let file = &large.drives["/dev/xvdb"]["/dev/xvdb1"].facts.as_ref().unwrap().rhel_release_files.release_files[0];
        assert_eq!((file.rhel_release_file_contents.as_deref(), file.rhel_found), (None, true));
        assert!(large.caveats[0].contains("left out"));
    }

    #[test]
    fn what_fits_is_left_alone() {
        let mut small = image("x");
        fit(&mut small, 10_000);
        assert_eq!(small, image("x"));
    }

    #[test]
    fn a_batch_that_does_not_fit_in_any_way_is_told() {
        let mut findings = Findings::default();
        findings.images.insert("ami-1".into(), image("x"));
        assert!(fit_all(&mut findings, 10_000));
        assert!(!fit_all(&mut findings, 10));
    }
}
