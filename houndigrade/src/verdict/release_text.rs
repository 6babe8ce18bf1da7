//! What the text of a release file names: `Red Hat Enterprise Linux Server release 6.10 (Santiago)`.

/// How texts begin, and the `ID` that os-release has for it. The first that fits holds.
const BEGINNINGS: [(&str, &str); 16] = [
    ("Red Hat Enterprise Linux", "rhel"),
    ("CentOS", "centos"),
    ("Oracle Linux", "ol"),
    ("Enterprise Linux Enterprise Linux", "ol"),
    ("Rocky Linux", "rocky"),
    ("AlmaLinux", "almalinux"),
    ("Fedora", "fedora"),
    ("Amazon Linux", "amzn"),
    ("Scientific Linux", "scientific"),
    ("CloudLinux", "cloudlinux"),
    ("EuroLinux", "eurolinux"),
    ("MIRACLE LINUX", "miraclelinux"),
    ("Navy Linux", "navylinux"),
    ("Circle Linux", "circle"),
    ("Virtuozzo", "virtuozzo"),
    ("Red Hat Linux", "redhat"),
];

/// The `ID` of the distribution that a text names.
pub(super) fn distribution(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    BEGINNINGS.iter().find(|(beginning, _)| text.starts_with(beginning)).map(|(_, id)| *id)
}

/// The version that a text names: the digits after `release`.
pub(super) fn version(text: &str) -> Option<String> {
    text.split("release ").skip(1).find_map(leading_version)
}

/// The version that a text begins with: `6` of `6Server`.
pub(super) fn leading_version(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let version = text[..end].trim_end_matches('.');
    (version.starts_with(|c: char| c.is_ascii_digit()) && version.len() <= VERSION_BYTES_MAX).then(|| version.to_owned())
}

/// Bytes of a version; a longer run of digits is none.
const VERSION_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_distribution_and_version() {
        let of = |text| (distribution(text), version(text));
        let is = |id, version: &str| (Some(id), Some(version.to_owned()));
        assert_eq!(of("Red Hat Enterprise Linux Server release 6.10 (Santiago)\n"), is("rhel", "6.10"));
        assert_eq!(of("Red Hat Enterprise Linux AS release 4 (Nahant Update 9)"), is("rhel", "4"));
        assert_eq!(of("CentOS Linux release 7.9.2009 (Core)"), is("centos", "7.9.2009"));
        assert_eq!(of("Enterprise Linux Enterprise Linux Server release 5.5 (Carthage)"), is("ol", "5.5"));
        assert_eq!(of("Debian"), (None, None));
        assert_eq!(of("Fedora release Rawhide release x"), (Some("fedora"), None));
    }

    #[test]
    fn a_version_ends_where_letters_begin() {
        assert_eq!(leading_version("6Server").as_deref(), Some("6"));
        assert_eq!(leading_version("7.").as_deref(), Some("7"));
        assert_eq!([leading_version(""), leading_version(".5"), leading_version(&"1".repeat(33))], [None, None, None]);
    }
}
