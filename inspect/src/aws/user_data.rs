//! What a scanner does, as the script that cloud-init runs: waits for its disks, has each read, and turns itself off.

use std::fmt::Write as _;

use super::limits::{ATTACH_WAIT_SECONDS, DOWNLOAD_TRIES_MAX, IMAGE_SECONDS_MAX, SCANNER_GRACE, USER_DATA_BYTES_MAX};
use super::settings::{Program, ScannerSettings};
use crate::batch::Batch;

/// The script for a batch. The same batch and settings give the same script.
///
/// # Errors
/// Its bytes, where it has more than AWS takes.
pub(super) fn user_data(scanner: &ScannerSettings, batch: &Batch) -> Result<String, usize> {
    let mut script = String::from(
        "#!/bin/sh\n# cloudigrade: has the disks that are attached to this machine read, and turns it off. Nothing is written to them.\nset -u\n",
    );
    let mut line = |text: String| {
        script.push_str(&text);
        script.push('\n');
    };
    line(format!("batch={}", quoted(&batch.batch_id)));
    line(format!("queue={}", quoted(&scanner.queue.url)));
    line(format!("region={}", quoted(&scanner.queue.region)));
    line(format!("lifetime_minutes={}", lifetime_seconds(scanner, batch).div_ceil(60)));
    line(format!("image_seconds={IMAGE_SECONDS_MAX}"));
    line(format!("give_up_at=$(( $(date +%s) + {ATTACH_WAIT_SECONDS} ))"));
    line("devices=/dev\nblocks=/sys/block".to_owned());
    line(END.to_owned());
    line(program(&scanner.program));
    line(
        READ.replace(
            "ENDPOINT",
            &scanner.queue.endpoint.as_deref().map(|url| format!(" --endpoint-url {}", quoted(url))).unwrap_or_default(),
        ),
    );
    for member in &batch.members {
        line(format!("read_disk {} {} {}", quoted(&member.image_id), quoted(&member.volume_id), quoted(&member.device)));
    }
    if script.len() > USER_DATA_BYTES_MAX { Err(script.len()) } else { Ok(script) }
}

/// How long a scanner of a batch may live, in seconds.
pub(super) fn lifetime_seconds(scanner: &ScannerSettings, batch: &Batch) -> u64 {
    let work = ATTACH_WAIT_SECONDS + IMAGE_SECONDS_MAX * batch.members.len() as u64 + SCANNER_GRACE.as_secs();
    scanner.lifetime_max.map_or(work, |most| work.min(most.as_secs()))
}

/// Turning off, which terminates the machine: at the end of the script however it comes, and some time after it in any case.
const END: &str = r#"turn_off() { shutdown -h now || poweroff -f; }
trap turn_off EXIT
if ! shutdown -h "+$lifetime_minutes"; then
    { sleep "$(( lifetime_minutes * 60 ))" && poweroff -f; } &
fi"#;

/// Reading one disk. Machines with NVMe disks call them as they like, and tell the volume's id as the serial number; others keep the name, or
/// have it with another beginning.
const READ: &str = r#"disk_of() {
    for serial in "$blocks"/*/device/serial; do
        [ -r "$serial" ] || continue
        if [ "$(tr -d ' \n' < "$serial")" = "$(printf %s "$1" | tr -d -)" ]; then
            name=${serial#"$blocks"/}
            printf %s "$devices/${name%%/*}"
            return
        fi
    done
    name=${2#/dev/}
    for name in "$name" "xvd${name#sd}"; do
        if [ -e "$devices/$name" ]; then
            printf %s "$devices/$name"
            return
        fi
    done
}
read_disk() {
    while disk=$(disk_of "$2" "$3"); [ -z "$disk" ]; do
        if [ "$(date +%s)" -ge "$give_up_at" ]; then
            echo "cloudigrade: $2 of $1 was not attached in time" >&2
            return
        fi
        sleep 1
    done
    timeout "$image_seconds" "$program" --cloud aws --target "$1" "$disk" --queue-url "$queue" --region "$region"ENDPOINT ||
        echo "cloudigrade: batch $batch: $1 was not read, or not told" >&2
}"#;

fn program(program: &Program) -> String {
    match program {
        Program::At(path) => format!("program={}", quoted(path)),
        Program::Fetched { url, sha256 } => {
            let mut text = String::from("program=$(mktemp -d /var/tmp/cloudigrade.XXXXXX)/houndigrade\n");
            // Writing into a text does not fail.
            let _ = write!(
                text,
                "tries=0\nuntil curl -fsSL --proto =https --proto-redir =https --max-time 300 -o \"$program\" {} && \
                 printf '%s  %s\\n' {} \"$program\" | sha256sum -c - >&2; do\n    tries=$(( tries + 1 ))\n    \
                 [ \"$tries\" -ge {DOWNLOAD_TRIES_MAX} ] && exit 1\n    sleep 10\ndone\nchmod 700 \"$program\"",
                quoted(url),
                quoted(sha256)
            );
            text
        }
    }
}

/// A word of the shell that means exactly this text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use cloudigrade_schemas::UtcSecond;
    use cloudigrade_schemas::inspection::CommandId;

    use super::*;
    use crate::aws::settings::Queue;
    use crate::batch::{BatchState, Member};

    fn scanner(program: Program) -> ScannerSettings {
        let sample = ScannerSettings::sample();
        let url = "https://sqs.us-east-1.amazonaws.com/000011112222/find'ings".into();
        ScannerSettings { program, queue: Queue { url, ..sample.queue }, ..sample }
    }

    fn batch(volumes: usize) -> Batch {
        let member = |number: usize| Member {
            command_id: CommandId::of("ami-1", number as u32),
            image_id: format!("ami-{number:017x}"),
            volume_id: format!("vol-{number:017x}"),
            device: format!("/dev/sd{}", char::from(b'f' + (number % 11) as u8)),
        };
        Batch {
            batch_id: "0123456789abcdef0123456789abcdef".into(),
            members: (0..volumes).map(member).collect(),
            state: BatchState::Starting,
            instance_id: None,
            tries: 0,
            missing: 0,
            problem: None,
            due_at: UtcSecond(0),
            deadline_at: None,
            state_since: UtcSecond(0),
        }
    }

    /// Runs the script with folders in the place of devices, and a program that tells its arguments; gives what it told.
    fn run(batch: &Batch, there: impl Fn(&std::path::Path)) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [
            ("houndigrade", "#!/bin/sh\nprintf '%s\\n' \"$*\" >> \"$(dirname \"$0\")/told\"\n"),
            ("shutdown", "#!/bin/sh\nprintf '%s\\n' \"$*\" >> \"$(dirname \"$0\")/off\"\n"),
        ] {
            std::fs::write(path(name), text).unwrap();
            std::fs::set_permissions(path(name), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
        there(folder.path());
        let script = user_data(&scanner(Program::At(path("houndigrade").display().to_string())), batch).unwrap();
        let script = script
            .replace("devices=/dev\n", &format!("devices={}\n", path("dev").display()))
            .replace("blocks=/sys/block\n", &format!("blocks={}\n", path("block").display()))
            .replace(&format!("+ {ATTACH_WAIT_SECONDS} "), "+ 0 ");
        let search = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let status = Command::new("sh").args(["-c", &script]).env("PATH", search).status().unwrap();
        assert!(status.success());
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default().replace(&folder.path().display().to_string(), "");
        (read("told"), read("off"))
    }

    #[test]
    fn disks_are_found_by_their_serial_numbers_or_names_and_those_that_never_come_are_left_out() {
        let (told, off) = run(&batch(4), |folder| {
            std::fs::create_dir_all(folder.join("dev")).unwrap();
            for (name, serial) in [("nvme0n1", "vol00000000000000000"), ("nvme1n1", "vol00000000000000001 ")] {
                std::fs::create_dir_all(folder.join("block").join(name).join("device")).unwrap();
                std::fs::write(folder.join("block").join(name).join("device/serial"), format!("{serial}\n")).unwrap();
            }
            std::fs::write(folder.join("dev/xvdh"), "").unwrap();
        });
        let queue = "--queue-url https://sqs.us-east-1.amazonaws.com/000011112222/find'ings --region us-east-1";
        let lines: Vec<String> = [(0, "/dev/nvme0n1"), (1, "/dev/nvme1n1"), (2, "/dev/xvdh")]
            .map(|(number, disk)| format!("--cloud aws --target ami-{number:017x} {disk} {queue}"))
            .to_vec();
        assert_eq!(told.lines().collect::<Vec<_>>(), lines);
        let mut off: Vec<&str> = off.lines().collect();
        off.sort_unstable();
        assert_eq!(off, ["-h +49", "-h now"]);
    }

    #[test]
    fn a_program_that_is_fetched_runs_only_if_it_is_the_one_that_was_meant() {
        let program = Program::Fetched { url: "https://example.com/a?b='c'".into(), sha256: "ab".repeat(32) };
        let script = user_data(&scanner(program), &batch(1)).unwrap();
        assert!(script.contains(r"'https://example.com/a?b='\''c'\'''") && script.contains(&"ab".repeat(32)), "{script}");
        let checked = Command::new("sh").args(["-n", "-c", &script]).status().unwrap();
        assert!(checked.success());
    }

    #[test]
    fn the_largest_batch_fits_and_lives_as_long_as_its_images_may_take() {
        let most = batch(crate::aws::limits::VOLUMES_PER_SCANNER_MAX);
        let mut scanner = scanner(Program::default());
        assert!(user_data(&scanner, &most).is_ok());
        assert_eq!(lifetime_seconds(&scanner, &batch(1)), 900 + 360 + 600);
        scanner.lifetime_max = Some(std::time::Duration::from_secs(1200));
        assert_eq!(lifetime_seconds(&scanner, &most), 1200);
    }
}
