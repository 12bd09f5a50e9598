//! Everything of a data directory in one file, taken while the daemon runs, and put back.
//!
//! ```text
//! backup:   person ─▶ backup.wanted ─▶ daemon: snapshots ─▶ backup.tar.gz (or backup.failed)
//! restore:  person ─▶ restore.tar.gz ─▶ next start: files of today aside, those of then in place
//! ```
//! Whoever may write into the directory may ask; no socket and no password is needed. A snapshot is
//! what was committed at one moment, without halting anything.
//!
//! Invariants: a restore loses nothing, it moves what is there into `before-restore-N`; leases are
//! never restored, since chargers may have been told more since: each counts with the worst until
//! it is heard; ids given since the backup are not given again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::archive::{self, Writer};
use super::error::StoreError;
use super::files::{DATABASE, Ids, Place};
use super::partners::{self, PartnerStore};
use super::snapshot::copy_store;

/// Asks the daemon for a backup.
pub const WANTED: &str = "backup.wanted";
/// The backup, whole.
pub const READY: &str = "backup.tar.gz";
/// Why there is none, in words.
pub const FAILED: &str = "backup.failed";
/// What the next start puts in place.
pub const RESTORE: &str = "restore.tar.gz";
/// Its presence says that ids beside the store count more than those in it.
pub const RESTORED: &str = "restored";

const BEGUN: &str = "backup.begun";
const PARTS: &str = "restore.parts";

/// Names that no backup has: of a moment, of this machine, or of this file itself.
const LEFT_OUT: [&str; 12] = [
    "lock",
    "reserve",
    "starts",
    "admin.token",
    WANTED,
    READY,
    FAILED,
    BEGUN,
    RESTORE,
    RESTORED,
    "ids.begun",
    "restore.failed",
];

/// Folders that a backup has: certificates and keys of the site.
const FOLDERS: [&str; 1] = ["tls"];

/// Ids set aside after a restore: a year of 30 sessions a day.
const IDS_SKIPPED: i64 = 10_000;

/// Writes a snapshot of one database to this path.
pub type Snapshot<'s> = dyn Fn(&Path) -> Result<(), StoreError> + 's;

/// Answers [`WANTED`], if it is there, with [`READY`] or [`FAILED`]. True when there was one.
pub fn answer(dir: &Path, snapshots: &[(&str, &Snapshot<'_>)]) -> io::Result<bool> {
    if !dir.join(WANTED).exists() {
        return Ok(false);
    }
    let made = write(dir, snapshots);
    if let Err(error) = &made {
        fs::write(dir.join(FAILED), format!("{error}\n"))?;
    }
    fs::remove_file(dir.join(WANTED))?;
    Ok(true)
}

/// Writes the backup of a directory that this process holds.
fn write(dir: &Path, snapshots: &[(&str, &Snapshot<'_>)]) -> Result<(), StoreError> {
    let place = dir.join(BEGUN);
    let failed = |source| StoreError::Io { place: place.clone(), source };
    let file = private(&place).map_err(failed)?;
    let mut writer = Writer::new(BufWriter::new(file));
    for (name, snapshot) in snapshots {
        let part = dir.join(format!("{name}.begun"));
        let _ = fs::remove_file(&part);
        let done = snapshot(&part).and_then(|()| add(&mut writer, name, &part).map_err(failed));
        let _ = fs::remove_file(&part);
        done?;
    }
    for folder in FOLDERS.iter().filter(|folder| dir.join(folder).is_dir()) {
        for (name, entry) in entries(&dir.join(folder)).map_err(failed)? {
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                add(&mut writer, &format!("{folder}/{name}"), &entry.path()).map_err(failed)?;
            }
        }
    }
    for (name, entry) in entries(dir).map_err(failed)? {
        let kept = entry.file_type().is_ok_and(|kind| kind.is_file())
            && !LEFT_OUT.contains(&name.as_str())
            && !snapshots.iter().any(|(taken, _)| *taken == name)
            && !name.contains(".damaged-")
            && !name.ends_with(".begun");
        if kept {
            add(&mut writer, &name, &entry.path()).map_err(failed)?;
        }
    }
    let file = writer.finish().and_then(|out| Ok(out.into_inner()?)).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&place, dir.join(READY)).map_err(failed)
}

/// Writes [`READY`] in a directory that no daemon holds.
pub fn write_alone(dir: &Path) -> Result<(), StoreError> {
    let place = Place::claim(dir)?;
    let found = place.open()?;
    let kept = dir.join(partners::FILE).exists();
    let partners = if kept { Some(PartnerStore::open(dir)?.0) } else { None };
    let store = |to: &Path| copy_store(&found.database, to);
    let of_partners = |to: &Path| match &partners {
        Some(partners) => partners.reader().copy_to(to),
        None => Ok(()),
    };
    let all: [(&str, &Snapshot<'_>); 2] = [(DATABASE, &store), (partners::FILE, &of_partners)];
    write(dir, if partners.is_some() { &all } else { &all[..1] })
}

/// Looks whether a file is a backup; its names.
pub fn check(file: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    archive::read(BufReader::new(File::open(file)?), |name, _| {
        names.push(name.to_owned());
        Ok(())
    })?;
    if names.iter().any(|name| name == DATABASE) {
        return Ok(names);
    }
    let expected = format!("it has no {DATABASE}; expected a file that `ampgate backup` wrote");
    Err(io::Error::new(io::ErrorKind::InvalidData, expected))
}

/// Lays a backup ready for the next start of the daemon, which must be able to read it.
pub fn stage(file: &Path, dir: &Path) -> io::Result<()> {
    check(file)?;
    fs::create_dir_all(dir)?;
    let begun = dir.join(BEGUN);
    let mut to = private(&begun)?;
    io::copy(&mut File::open(file)?, &mut to)?;
    to.sync_all()?;
    let owner = fs::metadata(dir)?;
    std::os::unix::fs::chown(&begun, Some(owner.uid()), Some(owner.gid()))?;
    fs::rename(begun, dir.join(RESTORE))
}

/// Puts a backup that was laid ready in place, before the store is opened; where the files of
/// before are, if there was one. One that cannot be used is renamed, so that the next start does
/// not try it again.
pub fn restore_staged(dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    let staged = dir.join(RESTORE);
    if !staged.exists() {
        return Ok(None);
    }
    let place = Place::claim(dir)?;
    let restored = unpack(dir, &staged).and_then(|names| exchange(dir, &place, &names));
    match restored {
        Ok(aside) => Ok(Some(aside)),
        Err(source) => {
            let _ = fs::rename(&staged, dir.join("restore.failed"));
            Err(StoreError::Io { place: staged, source })
        }
    }
}

/// Unpacks beside what is there; the names.
fn unpack(dir: &Path, staged: &Path) -> io::Result<Vec<String>> {
    let parts = dir.join(PARTS);
    let _ = fs::remove_dir_all(&parts);
    fs::create_dir(&parts)?;
    let mut names = Vec::new();
    archive::read(BufReader::new(File::open(staged)?), |name, content| {
        if let Some((folder, _)) = name.split_once('/') {
            owned_folder(&parts.join(folder))?;
        }
        let mut to = private(&parts.join(name))?;
        io::copy(content, &mut to)?;
        to.sync_all()?;
        names.push(name.to_owned());
        Ok(())
    })?;
    Ok(names)
}

/// Numbers first, then aside what is there, then in place what was unpacked: cut off anywhere, no
/// number is given twice and nothing is lost.
fn exchange(dir: &Path, place: &Place, names: &[String]) -> io::Result<PathBuf> {
    let parts = dir.join(PARTS);
    let (now, then) = (place.ids(), ids(&parts));
    place.set_ids(Ids {
        transaction: now.transaction.max(then.transaction.saturating_add(IDS_SKIPPED)),
        session: now.session.max(then.session.saturating_add(IDS_SKIPPED as u64)),
    })?;
    File::create(dir.join(RESTORED))?.sync_all()?;
    let aside = aside(dir)?;
    for (name, entry) in entries(dir)? {
        let stays = ["lock", "ids", RESTORE, RESTORED].contains(&name.as_str());
        let ours = entry.file_type()?.is_file() || FOLDERS.contains(&name.as_str());
        if ours && !stays {
            fs::rename(entry.path(), aside.join(name))?;
        }
    }
    for name in names.iter().filter(|name| *name != "ids") {
        if let Some((folder, _)) = name.split_once('/') {
            owned_folder(&dir.join(folder))?;
        }
        fs::rename(parts.join(name), dir.join(name))?;
    }
    fs::remove_dir_all(&parts)?;
    fs::remove_file(dir.join(RESTORE))?;
    Ok(aside)
}

fn ids(dir: &Path) -> Ids {
    let text = fs::read_to_string(dir.join("ids")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// What is in a folder, with the names as text.
fn entries(folder: &Path) -> io::Result<Vec<(String, fs::DirEntry)>> {
    let named = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry))
    };
    fs::read_dir(folder)?.map(named).collect()
}

/// A folder for this user alone, if it is not there.
fn owned_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A fresh folder for what a restore replaces.
pub fn aside(dir: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let aside = dir.join(format!("before-restore-{number}"));
        match fs::create_dir(&aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            made => return made.map(|()| aside),
        }
    }
}

/// A file for this user alone: a backup has the keys of partners and drivers.
pub fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn add<W: Write>(writer: &mut Writer<W>, name: &str, path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    let at = u64::try_from(about.mtime()).unwrap_or(0);
    writer.add(name, about.len(), at, file.take(about.len()))
}
