//! This machine: its addresses, its file systems, its ports. Looks and changes
//! nothing: a directory that the doctor made would be its user's and not the
//! sidecar's, so that it can be made is judged by the folder above it.

use super::report::{Check, Finding, Gate};
use camarad_config::Config;
use rustix::fs::{Access, access, statvfs};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};

/// Free bytes under which it is told.
const LOW: u64 = 1 << 30;
/// Free bytes under which logs and databases are about to fail.
const TOO_LOW: u64 = 100 << 20;
/// Addresses looked at; a machine with more runs containers for others.
const MOST: usize = 64;

/// Looks at where the sidecar writes.
pub(super) fn look(config: &Config) -> Vec<Check> {
    let state = &config.server.state_dir;
    let check = |name: &str, finding: Finding| finding.of(Gate::A, name);
    vec![
        check("state directory", state_dir(state)),
        check("room", room(free(state))),
        check(
            "access log",
            log("server.access_log", &config.server.access_log),
        ),
        check("audit log", log("audit.log", &config.audit.log)),
    ]
}

fn state_dir(path: &Path) -> Finding {
    let todo = "make it and give it to the sidecar's user, or set SIDECAR_STATE_DIR";
    let shown = path.display();
    match (path.is_dir(), path.exists(), may_write(path)) {
        (true, _, true) => Finding::pass(format!("{shown} is there and can be written")),
        (false, true, _) => Finding::fail(format!("{shown} is not a directory"), todo),
        (false, false, true) => Finding::pass(format!("{shown} is not there and can be made")),
        (is_dir, _, false) => Finding::fail(
            format!(
                "{shown} {} by this user",
                match is_dir {
                    true => "cannot be written",
                    false => "cannot be made",
                }
            ),
            todo,
        ),
    }
}

fn log(key: &str, target: &str) -> Finding {
    if matches!(target, "stdout" | "off") {
        return Finding::pass(format!("{key} is {target}"));
    }
    let path = Path::new(target);
    let todo = format!("give it to the sidecar's user, or set {key} to another file");
    match (path.is_dir(), may_write(path)) {
        (true, _) => Finding::fail(format!("{target} is a directory"), todo),
        (false, true) => Finding::pass(format!("{target} can be written")),
        (false, false) => Finding::fail(format!("{target} cannot be written by this user"), todo),
    }
}

/// Whether it can be written, or made where it is not there yet.
fn may_write(path: &Path) -> bool {
    let nearest = nearest(path);
    let rights = match nearest.is_dir() {
        true => Access::WRITE_OK | Access::EXEC_OK,
        false => Access::WRITE_OK,
    };
    // A file in the place of a folder is no place to make anything in.
    (nearest.is_dir() || nearest == path) && access(&nearest, rights).is_ok()
}

/// What there is of a path.
fn nearest(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|part| part.exists());
    match found {
        Some(part) => part.to_path_buf(),
        // `a/b` begins in the folder where we are.
        None if path.is_relative() => ".".into(),
        None => "/".into(),
    }
}

fn free(path: &Path) -> Option<u64> {
    let told = statvfs(nearest(path)).ok()?;
    Some(told.f_bavail.saturating_mul(told.f_frsize))
}

fn room(free: Option<u64>) -> Finding {
    let Some(free) = free else {
        return Finding::skip(
            "not looked at: its file system does not say",
            "see how full it is (df)",
        );
    };
    let seen = format!("{} MiB are free for the state directory", free >> 20);
    let todo = "make room there; logs are appended to and never cut";
    match free {
        free if free < TOO_LOW => Finding::fail(seen, todo),
        free if free < LOW => Finding::warn(seen, todo),
        _ => Finding::pass(seen),
    }
}

/// Every address of this machine that is not loopback; `None` where the system does
/// not list them in `/proc/net`, as Linux does.
pub(super) fn addresses() -> Option<Vec<SocketAddr>> {
    let trie = std::fs::read_to_string("/proc/net/fib_trie").ok()?;
    // Absent where the kernel has no IPv6.
    let six = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let four = of_fib_trie(&trie).into_iter();
    let four = four.map(|ip| SocketAddr::from((ip, 0)));
    Some(four.chain(of_if_inet6(&six)).take(MOST).collect())
}

/// The local addresses of a routing table: leaves (`|-- 192.0.2.2`) with an entry
/// `/32 host LOCAL`.
fn of_fib_trie(text: &str) -> BTreeSet<Ipv4Addr> {
    let mut leaf = None;
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.filter(|address| !address.is_loopback()));
        }
    }
    found
}

/// Lines of address, index of the interface in hexadecimal, prefix, scope, flags, name.
fn of_if_inet6(text: &str) -> Vec<SocketAddr> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let ip = u128::from_str_radix(words.next()?, 16).ok()?;
        let ip = Ipv6Addr::from_bits(ip);
        let index = u32::from_str_radix(words.next()?, 16).ok()?;
        // Only addresses of one link need to say which.
        let zone = if ip.is_unicast_link_local() { index } else { 0 };
        let address = SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, zone));
        (!ip.is_loopback()).then_some(address)
    };
    text.lines().filter_map(of_line).collect()
}

/// The same address with this port.
pub(super) fn at_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Where one connects to reach a listener: an unspecified address is every address.
pub(super) fn reached_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome::{Fail, Pass, Skip, Warn};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn room_is_judged_at_its_bounds() {
        for (free, outcome) in [
            (Some(0), Fail),
            (Some(TOO_LOW - 1), Fail),
            (Some(TOO_LOW), Warn),
            (Some(LOW - 1), Warn),
            (Some(LOW), Pass),
            (None, Skip),
        ] {
            assert_eq!(room(free).outcome, outcome, "{free:?}");
        }
    }

    #[test]
    fn local_addresses_are_read_and_loopback_is_left_out() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.0\n\
                    \x20       /24 link UNICAST\n     |-- 192.0.2.2\n        /32 host LOCAL\n\
                    \x20    |-- 192.0.2.255\n        /32 link BROADCAST\n     |-- 192.0.2.2\n        /32 host LOCAL\n";
        let found: Vec<Ipv4Addr> = of_fib_trie(trie).into_iter().collect();
        assert_eq!(found, [Ipv4Addr::new(192, 0, 2, 2)]);
        let six = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n\
                   20010db8000000000000000000000002 0a 40 00 82     eth0\n\
                   00000000000000000000000000000001 01 80 10 80       lo\nnonsense\n";
        let found: Vec<String> = of_if_inet6(six).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["[fe80::fc:ff:fe00:1%4]:0", "[2001:db8::2]:0"]);
    }

    #[test]
    fn a_wildcard_is_reached_on_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:5050", "127.0.0.1:5050"),
            ("[::]:5050", "[::1]:5050"),
            ("192.0.2.2:1", "192.0.2.2:1"),
        ] {
            let reached = reached_at(listen.parse().unwrap());
            assert_eq!(reached.to_string(), expected);
        }
    }

    #[test]
    fn what_is_not_there_is_judged_by_what_is_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let missing = dir.path().join("a/b/c");
        assert_eq!(state_dir(dir.path()).outcome, Pass);
        assert_eq!(state_dir(&missing).outcome, Pass);
        assert_eq!(state_dir(&file).outcome, Fail);
        assert_eq!(state_dir(&file.join("below")).outcome, Fail);
        let log_to = |path: &Path| log("audit.log", path.to_str().unwrap()).outcome;
        assert_eq!(log_to(&file), Pass);
        assert_eq!(log_to(&missing), Pass);
        assert_eq!(log_to(dir.path()), Fail);
        assert_eq!(log_to(&file.join("below")), Fail);
        assert_eq!(log("server.access_log", "stdout").outcome, Pass);
        assert!(!missing.exists(), "nothing is made");
        assert_eq!(nearest(Path::new("no-such-folder/x")), Path::new("."));
        assert!(free(&missing).is_some());
    }

    #[test]
    fn what_may_not_be_written_is_told() {
        if rustix::process::geteuid().is_root() {
            return; // Nothing is closed to root.
        }
        let dir = tempfile::tempdir().unwrap();
        let closed = std::fs::Permissions::from_mode(0o500);
        std::fs::set_permissions(dir.path(), closed).unwrap();
        assert_eq!(state_dir(dir.path()).outcome, Fail);
        assert_eq!(state_dir(&dir.path().join("x")).outcome, Fail);
    }
}
