//! Archives, taken apart and put together again.

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;
use tar::{Archive, Builder, EntryType, Header};

/// A member, as it stands in an archive.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub path: String,
    pub kind: EntryType,
    pub content: Vec<u8>,
}

impl Member {
    pub fn file(path: &str, content: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            kind: EntryType::Regular,
            content: content.to_vec(),
        }
    }
}

/// All members, the manifest first.
pub fn read(archive: &Path) -> Vec<Member> {
    let file = std::fs::File::open(archive).unwrap();
    let mut archive = Archive::new(GzDecoder::new(file));
    let members = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        Member {
            path: entry.path().unwrap().display().to_string(),
            kind: entry.header().entry_type(),
            content,
        }
    });
    members.collect()
}

/// The member of this path.
pub fn member<'a>(members: &'a mut [Member], path: &str) -> &'a mut Member {
    members
        .iter_mut()
        .find(|member| member.path == path)
        .unwrap()
}

pub fn manifest(members: &[Member]) -> Value {
    assert_eq!(members[0].path, "manifest.json");
    serde_json::from_slice(&members[0].content).unwrap()
}

/// Changes the manifest.
pub fn tell(members: &mut [Member], change: impl FnOnce(&mut Value)) {
    let mut told = manifest(members);
    change(&mut told);
    members[0].content = told.to_string().into_bytes();
}

/// Puts another content in place, and lets the manifest say so.
pub fn replace(members: &mut [Member], path: &str, content: &[u8]) {
    member(members, path).content = content.to_vec();
    tell(members, |manifest| {
        let entries = manifest["members"].as_array_mut().unwrap();
        let entry = entries.iter_mut().find(|entry| entry["path"] == path);
        let entry = entry.unwrap();
        entry["size"] = content.len().into();
        entry["sha256"] = hash(content).into();
    });
}

pub fn hash(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The members as a tar file.
pub fn tarred(members: &[Member]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for member in members {
        let mut header = Header::new_ustar();
        // Past what the library would refuse to write.
        let name = &mut header.as_old_mut().name;
        name[..member.path.len()].copy_from_slice(member.path.as_bytes());
        header.set_entry_type(member.kind);
        header.set_mode(0o600);
        header.set_size(member.content.len() as u64);
        if member.kind == EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, member.content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut packer, bytes).unwrap();
    packer.finish().unwrap()
}
