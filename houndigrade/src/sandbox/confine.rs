//! What a process gives up before it reads hostile bytes. What this kernel cannot take away is told, so that nobody relies on it.

use std::io;
use std::os::fd::RawFd;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter, SeccompRule};

use super::Allowance;
use crate::limits::INSPECTION_OPEN_FILES_MAX;

/// The user and group `nobody`.
const NOBODY: u32 = 65534;
/// Seconds of processor time between the signal that tells of the limit and the one that cannot be ignored.
const CPU_GRACE_SECONDS: u64 = 5;

/// Gives up everything but reading of what is open, writing to standard output and error and to who serves disks, and memory up to the
/// allowance. Returns what could not be given up, for people.
///
/// # Errors
/// Where a limit that every kernel has cannot be set: then nothing hostile must be read.
pub(super) fn confine(allowance: &Allowance, parent: u32, served: &[RawFd]) -> io::Result<Vec<String>> {
    limit(allowance)?;
    set(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    let mut lacking = Vec::new();
    // First Landlock, then the user: a kernel that has Landlock takes it from anybody who has given up new privileges.
    lacking.extend(drop_files_and_network());
    lacking.extend(drop_user());
    die_with(parent)?;
    lacking.extend(drop_system_calls(served));
    Ok(lacking)
}

fn limit(allowance: &Allowance) -> io::Result<()> {
    let address_space = own_address_space()?.saturating_add(allowance.address_space_bytes);
    let limits = [
        (libc::RLIMIT_AS, address_space, address_space),
        (libc::RLIMIT_CPU, allowance.cpu_seconds, allowance.cpu_seconds.saturating_add(CPU_GRACE_SECONDS)),
        (libc::RLIMIT_NOFILE, INSPECTION_OPEN_FILES_MAX, INSPECTION_OPEN_FILES_MAX),
        (libc::RLIMIT_FSIZE, 0, 0),
        (libc::RLIMIT_CORE, 0, 0),
    ];
    for (resource, soft, hard) in limits {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: the structure lives through the call, which only reads it.
        checked(unsafe { libc::setrlimit(resource, &limit) })?;
    }
    Ok(())
}

/// Bytes of address space that the program takes before it reads anything.
fn own_address_space() -> io::Result<u64> {
    let unknown = || io::Error::other("/proc/self/statm does not say how much memory this process has");
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = pages.split(' ').next().and_then(|pages| pages.parse().ok()).ok_or_else(unknown)?;
    // SAFETY: it takes an integer and returns one.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(page_bytes).ok().and_then(|bytes| pages.checked_mul(bytes)).ok_or_else(unknown)
}

fn set(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the options that are set here take integers only.
    checked(unsafe { libc::prctl(option, value, 0, 0, 0) })
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn drop_files_and_network() -> Option<String> {
    let newest = ABI::V6;
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(newest)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(newest)))
        .and_then(|ruleset| ruleset.create())
        .and_then(|ruleset| ruleset.restrict_self());
    match ruleset.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => None,
        Ok(RulesetStatus::PartiallyEnforced) => Some("Landlock of this kernel is old: it does not bar all of files and network".to_owned()),
        Ok(RulesetStatus::NotEnforced) => Some("this kernel has no Landlock, or it is off".to_owned()),
        Err(error) => Some(format!("Landlock cannot be used: {error}")),
    }
}

fn drop_user() -> Option<String> {
    // SAFETY: none of these calls takes memory, but for the list of groups, which is empty.
    let dropped = unsafe {
        if libc::geteuid() != 0 {
            return None;
        }
        checked(libc::setgroups(0, std::ptr::null()))
            .and_then(|()| checked(libc::setresgid(NOBODY, NOBODY, NOBODY)))
            .and_then(|()| checked(libc::setresuid(NOBODY, NOBODY, NOBODY)))
    };
    dropped.err().map(|error| format!("the inspection ran as root, because this process may not become nobody: {error}"))
}

/// Ends this process with its parent. A change of the user undoes it, so it comes after that.
fn die_with(parent: u32) -> io::Result<()> {
    set(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
    // SAFETY: it takes nothing and cannot fail.
    let now = unsafe { libc::getppid() };
    if u32::try_from(now) == Ok(parent) { Ok(()) } else { Err(io::Error::other("the process that asked for the inspection is gone")) }
}

fn drop_system_calls(served: &[RawFd]) -> Option<String> {
    let filter: Result<BpfProgram, _> = filter(served).and_then(BpfProgram::try_from);
    let applied =
        filter.map_err(|error| error.to_string()).and_then(|it| seccompiler::apply_filter(&it).map_err(|error| error.to_string()));
    applied.err().map(|error| format!("seccomp cannot be used: {error}"))
}

/// Calls that are allowed whatever their arguments.
const CALLS: [libc::c_long; 25] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_gettimeofday,
];

/// What is not on the list fails as if it were not permitted; it does not kill, so that what a library tries and can do without does no
/// harm.
fn filter(served: &[RawFd]) -> Result<SeccompFilter, seccompiler::BackendError> {
    let one = |argument, length, operator, value| SeccompRule::new(vec![SeccompCondition::new(argument, length, operator, value)?]);
    let not_executable = || one(2, Len::Dword, Op::MaskedEq(libc::PROT_EXEC as u64), 0);
    let to_standard = || one(0, Len::Dword, Op::Le, 2);
    let mut to_parent = vec![to_standard()?];
    for descriptor in served.iter().filter_map(|descriptor| u64::try_from(*descriptor).ok()) {
        to_parent.push(one(0, Len::Dword, Op::Eq, descriptor)?);
    }
    let only_itself = u64::from(std::process::id());
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_mmap, vec![not_executable()?]);
    rules.insert(libc::SYS_mprotect, vec![not_executable()?]);
    rules.insert(libc::SYS_write, to_parent);
    rules.insert(libc::SYS_writev, vec![to_standard()?]);
    rules.insert(libc::SYS_fcntl, vec![one(1, Len::Dword, Op::Eq, libc::F_GETFD as u64)?]);
    rules.insert(libc::SYS_tgkill, vec![one(0, Len::Dword, Op::Eq, only_itself)?]);
    let otherwise = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, otherwise, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus, Output};

    use super::*;

    /// Runs the test below in a process of its own, which confines itself and then does something.
    fn confined(deed: &str) -> Output {
        let test = "sandbox::confine::tests::does_a_deed_in_confinement";
        let mut itself = Command::new(std::env::current_exe().unwrap());
        itself.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("DEED", deed).output().unwrap()
    }

    #[test]
    fn does_a_deed_in_confinement() {
        let Ok(deed) = std::env::var("DEED") else { return };
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        // SAFETY: it takes nothing and cannot fail.
        let parent = unsafe { libc::getppid() } as u32;
        let allowance = Allowance { cpu_seconds: 1, address_space_bytes: 256 << 20, ..Allowance::default() };
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut served = std::fs::File::from(std::os::fd::OwnedFd::from(theirs.try_clone().unwrap()));
        let mut other = std::fs::File::from(std::os::fd::OwnedFd::from(theirs));
        confine(&allowance, parent, &[served.as_raw_fd()]).unwrap();
        let is_refused = match deed.as_str() {
            "work" => String::from_utf8(vec![b'x'; 32 << 20]).unwrap().len() != 32 << 20,
            "open" => std::fs::File::open("/etc/passwd").is_err(),
            "connect" => std::net::TcpStream::connect(address).is_err(),
            "execute" => Command::new("/bin/true").status().is_err(),
            // SAFETY: it takes an integer.
            "become root" => (unsafe { libc::setuid(0) }) != 0,
            // SAFETY: signal 0 does nothing.
            "signal" => (unsafe { libc::kill(parent as i32, 0) }) != 0,
            "ask" => std::io::Write::write_all(&mut served, b"x").is_err(),
            "ask elsewhere" => std::io::Write::write_all(&mut other, b"x").is_err(),
            "send" => std::io::Write::write_all(&mut ours, b"x").is_err(),
            "panic" => panic!("as asked"),
            "abort" => std::process::abort(),
            "allocate" => std::hint::black_box(vec![1_u8; 1 << 30]).is_empty(),
            _ => loop {
                std::hint::spin_loop();
            },
        };
        std::process::exit(if is_refused { 77 } else { 78 });
    }

    fn status(deed: &str) -> ExitStatus {
        confined(deed).status
    }

    #[test]
    fn files_network_programs_signals_and_root_are_out_of_reach() {
        for deed in ["open", "connect", "execute", "signal", "become root"] {
            assert_eq!(status(deed).code(), Some(77), "{deed}");
        }
    }

    #[test]
    fn who_serves_a_disk_can_be_asked_and_nobody_else() {
        assert_eq!(["ask", "ask elsewhere", "send"].map(|deed| status(deed).code()), [Some(78), Some(77), Some(77)]);
    }

    #[test]
    fn memory_is_at_hand_up_to_the_limit_and_beyond_it_the_process_aborts() {
        assert_eq!(status("work").code(), Some(78));
        let beyond = confined("allocate");
        assert_eq!(beyond.status.signal(), Some(libc::SIGABRT));
        assert!(String::from_utf8_lossy(&beyond.stderr).contains("memory allocation of 1073741824 bytes failed"));
    }

    #[test]
    fn a_process_that_spins_is_ended_by_its_limit_of_processor_time() {
        assert_eq!(status("spin").signal(), Some(libc::SIGXCPU));
    }

    #[test]
    fn a_process_can_still_abort_and_panic() {
        assert_eq!(status("abort").signal(), Some(libc::SIGABRT));
        let panicked = confined("panic");
        assert!(String::from_utf8_lossy(&panicked.stderr).contains("as asked"));
        assert!(!panicked.status.success());
    }
}
