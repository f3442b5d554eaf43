use super::super::manifest::Manifest;
use super::super::pack::pack;
use super::*;
use time::macros::datetime;

/// The members of a small archive.
const CONTENT: [(&str, &[u8]); 2] = [
    (
        "state/sessions.json",
        b"{\"all\": {\"number\": 3, \"at\": 7}}",
    ),
    ("state/snapshots/2026/a.json", b"[1, 2, 3]"),
];

/// A small archive in `dir`, as its bytes.
fn packed(dir: &Path) -> Vec<u8> {
    let entries = CONTENT.map(|(path, text)| {
        let at = dir.join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, text).unwrap();
        Entry {
            path: path.to_owned(),
            size: text.len() as u64,
            sha256: hex(&Sha256::digest(text)),
            database: None,
        }
    });
    let at = datetime!(2026-11-26 03:33:47 UTC);
    let manifest = Manifest::new(at, false, entries.to_vec());
    let path = pack(dir, "small.tar.gz", &manifest, dir).unwrap();
    std::fs::read(path).unwrap()
}

/// Unpacks these bytes; gives what was written where it worked.
fn unpacked(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ArchiveError> {
    let dir = tempfile::tempdir().unwrap();
    let (archive, to) = (dir.path().join("a"), dir.path().join("to"));
    std::fs::write(&archive, bytes).unwrap();
    std::fs::create_dir(&to).unwrap();
    unpack(&archive, &to)?;
    let read = |(path, _)| std::fs::read(to.join(path)).unwrap();
    Ok(CONTENT.map(read).to_vec())
}

#[test]
fn what_was_packed_is_unpacked_and_readable_by_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let bytes = packed(dir.path());
    let content = CONTENT.map(|(_, text)| text.to_vec()).to_vec();
    assert_eq!(unpacked(&bytes).unwrap(), content);
    let file = std::fs::metadata(dir.path().join("small.tar.gz")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 2, "the archive and what is in it");
}

#[test]
fn wherever_it_is_cut_off_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = packed(dir.path());
    for length in 0..bytes.len() {
        let error = unpacked(&bytes[..length]).unwrap_err();
        match length {
            0 | 1 => assert!(matches!(error, ArchiveError::NotAnArchive), "{length}"),
            _ => assert!(
                matches!(error, ArchiveError::CutOff(_)),
                "{length}: {error}"
            ),
        }
    }
}

#[test]
fn no_damaged_byte_comes_through() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = packed(dir.path());
    let content = CONTENT.map(|(_, text)| text.to_vec()).to_vec();
    let mut refused = 0;
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        match unpacked(&bytes) {
            // A time or a system's name in the header, that nobody reads.
            Ok(read) => assert_eq!(read, content, "{at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > bytes.len() - 10, "{refused} of {}", bytes.len());
}

#[test]
fn nothing_may_follow() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = packed(dir.path());
    for more in [&b"x"[..], &bytes] {
        let error = unpacked(&[bytes.as_slice(), more].concat()).unwrap_err();
        assert!(matches!(error, ArchiveError::TooMuch(_)), "{error}");
    }
}
