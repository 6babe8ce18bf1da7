//! Repositories of RHEL that yum and dnf are told to use.
//!
//! Two lists: those that say `enabled=1`, as the first inspector had it, and those that yum and dnf take for enabled, which is also what
//! says `true`, `yes` or nothing.

use std::collections::BTreeSet;

use cloudigrade_schemas::findings::{EnabledRepos, Repo};

use super::ini::{Ini, Section};
use super::{Unreadable, joined, shown};
use crate::error::ReadError;
use crate::limits::{
    REPOSITORIES_LISTED_MAX, REPOSITORY_BYTES_MAX, REPOSITORY_FILE_BYTES_MAX, REPOSITORY_FILES_MAX, REPOSITORY_FOLDER_ENTRIES_MAX,
    REPOSITORY_FOLDERS_MAX, REPOSITORY_NAME_BYTES_MAX,
};
use crate::tree::Files;

/// Files that name the folders of repositories, and may hold repositories themselves.
const CONFIGURATIONS: [&[u8]; 2] = [b"/etc/dnf/dnf.conf", b"/etc/yum.conf"];
/// The folder that is always looked at.
const FOLDER: &[u8] = b"/etc/yum.repos.d";

/// Reads all repositories of the system on a partition. A file that cannot be read, or not all of it, hides no other.
pub fn read(files: &dyn Files, partition: &str, unread: &mut Unreadable) -> EnabledRepos {
    let mut reader =
        Reader { files, unread, problem: None, bytes_left: REPOSITORY_BYTES_MAX, enabled: BTreeSet::new(), effective: BTreeSet::new() };
    let mut folders = BTreeSet::from([FOLDER.to_vec()]);
    for path in CONFIGURATIONS {
        if let Some(ini) = reader.file(path) {
            let value = ini.section("main").and_then(|main| main.get("reposdir")).unwrap_or_default();
            folders.extend(paths_of(value));
        }
    }
    reader.folders(&folders);
    let problem = reader.problem;
    let (enabled, effective) = (reader.enabled, reader.effective);
    EnabledRepos {
        rhel_found: !enabled.is_empty(),
        rhel_enabled_repos: enabled.into_iter().collect(),
        status: problem.map(|problem| format!("Error reading yum repo files on {partition}: {problem}")),
        rhel_effective_repos: effective.into_iter().collect(),
    }
}

struct Reader<'a> {
    files: &'a dyn Files,
    unread: &'a mut Unreadable,
    /// What went wrong first.
    problem: Option<String>,
    bytes_left: usize,
    enabled: BTreeSet<Repo>,
    effective: BTreeSet<Repo>,
}

impl Reader<'_> {
    fn folders(&mut self, folders: &BTreeSet<Vec<u8>>) {
        let mut files = 0;
        for (index, folder) in folders.iter().enumerate() {
            if index >= REPOSITORY_FOLDERS_MAX {
                return self.beyond("the list of folders of repositories", REPOSITORY_FOLDERS_MAX, "folders");
            }
            for path in self.folder(folder) {
                files += 1;
                if files > REPOSITORY_FILES_MAX {
                    return self.beyond("the list of files of repositories", REPOSITORY_FILES_MAX, "files");
                }
                self.file(&path);
            }
        }
    }

    /// The files of repositories in a folder.
    fn folder(&mut self, folder: &[u8]) -> Vec<Vec<u8>> {
        match self.files.list(folder, REPOSITORY_FOLDER_ENTRIES_MAX) {
            Ok(names) => names.iter().filter(|name| name.ends_with(b".repo")).map(|name| joined(folder, name)).collect(),
            Err(ReadError::NotFound { .. }) => Vec::new(),
            Err(error) => {
                self.failed(folder, &error);
                Vec::new()
            }
        }
    }

    /// Takes the repositories of a file; `None` where there is none that can be read.
    fn file(&mut self, path: &[u8]) -> Option<Ini> {
        let content = match self.files.read(path, REPOSITORY_FILE_BYTES_MAX.min(self.bytes_left)) {
            Ok(content) => content,
            Err(ReadError::NotFound { .. }) => return None,
            Err(error) => {
                self.failed(path, &error);
                return None;
            }
        };
        self.bytes_left = self.bytes_left.saturating_sub(content.len());
        let ini = Ini::parse(&content);
        if let Some(problem) = &ini.problem {
            let more = if problem.more > 0 { format!(", and {} more", problem.more) } else { String::new() };
            let told = format!("{}: line {} cannot be read, as {}{more}", shown(path), problem.line, problem.why);
            self.problem.get_or_insert(told);
        }
        let too_long = ini.sections.iter().filter(|section| !self.section(section)).count();
        if too_long > 0 {
            let what = format!("{too_long} names of repositories in {}", shown(path));
            self.failed(path, &ReadError::Limit { what, limit: REPOSITORY_NAME_BYTES_MAX as u64, unit: "bytes" });
        }
        Some(ini)
    }

    /// Takes the repository of a section, if it is one of RHEL; `false` if its id or its name is too long to be told.
    fn section(&mut self, section: &Section) -> bool {
        let Some(name) = section.get("name").filter(|name| is_of_rhel(name)) else { return true };
        if section.name.len().max(name.len()) > REPOSITORY_NAME_BYTES_MAX {
            return false;
        }
        let repo = Repo { repo: section.name.clone(), name: name.to_owned() };
        let enabled = section.get("enabled");
        for (applies, list) in [(enabled == Some("1"), &mut self.enabled), (is_in_effect(enabled), &mut self.effective)] {
            if applies && list.len() < REPOSITORIES_LISTED_MAX {
                list.insert(repo.clone());
            }
        }
        true
    }

    fn failed(&mut self, path: &[u8], error: &ReadError) {
        self.unread.note(path, error);
        self.problem.get_or_insert(error.to_string());
    }

    fn beyond(&mut self, what: &str, limit: usize, unit: &'static str) {
        let error = ReadError::Limit { what: what.to_owned(), limit: limit as u64, unit };
        self.failed(what.as_bytes(), &error);
    }
}

/// Whether a repository's name is one of RHEL's.
fn is_of_rhel(name: &str) -> bool {
    let name = name.to_lowercase();
    name.contains("rhel") || name.contains("red hat")
}

/// Whether yum and dnf use a repository whose `enabled` says this.
fn is_in_effect(enabled: Option<&str>) -> bool {
    enabled.is_none_or(|value| ["1", "true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str()))
}

/// The absolute paths of a list that is separated by commas or white space; in quotes, both are parts of a path.
fn paths_of(list: &str) -> Vec<Vec<u8>> {
    let mut paths = vec![String::new()];
    let mut quote = None;
    for c in list.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, c) if c == ',' || c.is_whitespace() => paths.push(String::new()),
            _ => paths.last_mut().into_iter().for_each(|path| path.push(c)),
        }
    }
    paths.into_iter().map(|path| path.trim().to_owned().into_bytes()).filter(|path| path.starts_with(b"/")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryFiles;
    use super::*;

    fn found(files: &MemoryFiles) -> EnabledRepos {
        read(files, "/dev/xvdb1", &mut Unreadable::default())
    }

    fn names(repos: &[Repo]) -> Vec<&str> {
        repos.iter().map(|repo| repo.repo.as_str()).collect()
    }

    #[test]
    fn only_enabled_1_counts_for_the_first_list_and_what_is_in_effect_for_the_second() {
        let files = MemoryFiles::of(&[(
            "/etc/yum.repos.d/redhat.repo",
            "[one]\nname=RHEL 9\nenabled = 1\n[true]\nname=Red HAT\nenabled=True\n[silent]\nname=rhel\n[off]\nname=rhel\nenabled=0\n\
             [other]\nname=EPEL\nenabled=1\n[nameless]\nenabled=1\n",
        )]);
        let found = found(&files);
        assert_eq!(names(&found.rhel_enabled_repos), ["one"]);
        assert_eq!(names(&found.rhel_effective_repos), ["one", "silent", "true"]);
        assert_eq!((found.rhel_found, found.status), (true, None));
    }

    #[test]
    fn a_broken_file_is_told_and_hides_no_other() {
        let files = MemoryFiles::of(&[("/etc/yum.repos.d/b.repo", "[b]\nname=RHEL\nenabled=1\n")])
            .with("/etc/yum.repos.d/a.repo", b"\x7fELF\0\0\0")
            .odd("/etc/yum.repos.d/c.repo", "a FIFO");
        let found = found(&files);
        assert_eq!(names(&found.rhel_enabled_repos), ["b"]);
        let told = "Error reading yum repo files on /dev/xvdb1: /etc/yum.repos.d/a.repo: line 1 cannot be read, as it is binary";
        assert_eq!(found.status.as_deref(), Some(told));
    }

    #[test]
    fn folders_that_the_configuration_names_and_the_configuration_itself_are_read() {
        let repo = |name: &str| format!("[{name}]\nname=RHEL\nenabled=1\n");
        let files = MemoryFiles::of(&[
            ("/etc/dnf/dnf.conf", "[main]\nreposdir=/srv/a, \"/srv/b, c\"\n  /srv/d relative\n[inline]\nname=RHEL\nenabled=1\n"),
            ("/etc/yum.repos.d/x.repo", &repo("always")),
            ("/srv/a/x.repo", &repo("a")),
            ("/srv/a/x.repo.rpmsave", &repo("saved")),
            ("/srv/b, c/x.repo", &repo("b")),
            ("/srv/d/x.repo", &repo("d")),
            ("/relative/x.repo", &repo("relative")),
        ]);
        assert_eq!(names(&found(&files).rhel_enabled_repos), ["a", "always", "b", "d", "inline"]);
    }

    #[test]
    fn a_repository_in_two_files_is_listed_once() {
        let text = "[x]\nname=RHEL\nenabled=1\n";
        let files = MemoryFiles::of(&[("/etc/yum.repos.d/a.repo", text), ("/etc/yum.repos.d/b.repo", text)]);
        assert_eq!(found(&files).rhel_enabled_repos.len(), 1);
    }

    #[test]
    fn a_name_that_is_too_long_is_noted_and_hides_no_other() {
        let section = |id: &str, bytes: usize| format!("[{id}]\nname={}\nenabled=1\n", "rhel".repeat(bytes / 4));
        let text = section("long", REPOSITORY_NAME_BYTES_MAX + 4) + &section("short", REPOSITORY_NAME_BYTES_MAX);
        let mut unread = Unreadable::default();
        let found = read(&MemoryFiles::of(&[("/etc/yum.repos.d/a.repo", &text)]), "/dev/xvdb1", &mut unread);
        assert_eq!((names(&found.rhel_enabled_repos), names(&found.rhel_effective_repos)), (vec!["short"], vec!["short"]));
        assert!(found.status.is_some_and(|status| status.len() < 200));
        assert_eq!(unread.into_noted()[0].path, "/etc/yum.repos.d/a.repo");
    }

    #[test]
    fn more_files_than_the_limit_are_told() {
        let files = (0..=REPOSITORY_FILES_MAX).fold(MemoryFiles::default(), |all, n| all.with(&format!("/etc/yum.repos.d/{n}.repo"), b""));
        assert!(found(&files).status.is_some_and(|status| status.contains("limit of 2000 files")));
    }

    #[test]
    fn a_system_without_yum_has_no_repositories_and_no_error() {
        assert_eq!(found(&MemoryFiles::default()), EnabledRepos::default());
    }
}
