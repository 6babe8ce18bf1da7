//! Targets that are no disks.

use super::*;

fn inspect(path: &std::path::Path) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_houndigrade"));
    command.args(["--cloud", "aws", "--format", "json", "--target", "ami-1"]).arg(path);
    String::from_utf8(tools::succeed(&mut command).stdout).unwrap()
}

#[test]
fn a_target_that_is_missing_or_no_disk_is_an_error_of_its_image() {
    if !have(&["mkfifo"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    tools::run("mkfifo", [&fifo]);
    for path in [fifo, folder.path().to_owned(), folder.path().join("nothing"), "/dev/zero".into()] {
        let json = inspect(&path);
        let image = &crate::inspection::parse(&json).images["ami-1"];
        assert!(!image.errors.is_empty() && image.is_rhel.is_none(), "{json}");
    }
}
