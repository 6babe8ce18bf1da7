//! `/etc/os-release`: what a system says of itself, after os-release(5).

/// Bytes of the file that are looked at; real ones have less than one KiB.
pub const OS_RELEASE_BYTES_MAX: usize = 64 << 10;

/// A distribution, as far as it matters for licences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Red Hat Enterprise Linux.
    Rhel,
    /// Built from the same sources or upstream of it, but not licensed as RHEL: CentOS Stream, Fedora, Alma, Rocky, Oracle Linux.
    Relative,
    /// Anything else.
    Other,
}

/// What `os-release` says. A field that it does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// `ID`, in lower case: `rhel`.
    pub id: Option<String>,
    /// `VERSION_ID`: `9.4`.
    pub version_id: Option<String>,
}

impl OsRelease {
    /// Reads the file's content. Lines that are no assignments are passed over, and of a repeated name the last one holds.
    pub fn parse(content: &str) -> Self {
        let mut release = Self::default();
        let end = content.floor_char_boundary(OS_RELEASE_BYTES_MAX);
        for (name, value) in content[..end].lines().filter_map(|line| line.trim().split_once('=')) {
            let value = unquoted(value.trim());
            match name {
                "ID" => release.id = Some(value.to_ascii_lowercase()),
                "VERSION_ID" => release.version_id = Some(value),
                _ => {}
            }
        }
        release
    }

    /// The distribution; `None` when the file does not say.
    pub fn distribution(&self) -> Option<Distribution> {
        Some(match self.id.as_deref()? {
            "rhel" => Distribution::Rhel,
            "centos" | "fedora" | "almalinux" | "rocky" | "ol" => Distribution::Relative,
            _ => Distribution::Other,
        })
    }
}

/// Takes off a pair of quotes and the backslashes that escape.
fn unquoted(value: &str) -> String {
    let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    let mut plain = String::with_capacity(value.len());
    let mut escaped = false;
    for c in quoted.unwrap_or(value).chars() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            _ => {
                plain.push(c);
                escaped = false;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rhel_is_told_from_its_relatives_and_from_silence() {
        let of = |text| OsRelease::parse(text).distribution();
        assert_eq!(of("NAME=\"Red Hat Enterprise Linux\"\nID=\"rhel\"\nVERSION_ID=\"9.4\"\n"), Some(Distribution::Rhel));
        assert_eq!(of("ID='centos'\nID_LIKE=\"rhel fedora\"\n"), Some(Distribution::Relative));
        assert_eq!(of("ID=debian\n"), Some(Distribution::Other));
        assert_eq!(of("# nothing\n"), None);
    }

    #[test]
    fn quotes_escapes_and_broken_lines_do_no_harm() {
        let release = OsRelease::parse("garbage\n=\nID=rh\\el\nVERSION_ID=\"9\\\"4\"\nVERSION_ID=\"8\n");
        assert_eq!((release.id.as_deref(), release.version_id.as_deref()), (Some("rhel"), Some("\"8")));
    }
}
