//! The settings of a running process: read once more when their files change, and taken over where that
//! can be done without a restart.

use super::change::Change;
use super::mistake::Mistake;
use super::settings::Settings;
use super::source::{Given, Sources};
use super::source_file::SourceFile;
use super::table::SETTINGS;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The settings that are in force, and the files that they came from.
#[derive(Debug)]
pub struct Running {
    given: Given,
    sources: Sources,
    settings: Settings,
    /// The files as they were just before they were read, whatever came of it.
    read: Files,
    /// As they were when somebody last looked.
    seen: Files,
}

/// What came of reading the settings once more.
#[derive(Debug)]
pub struct Reloaded {
    /// The settings from now on.
    pub settings: Settings,
    /// The keys that have another value now.
    pub changed: Vec<&'static str>,
    /// The keys that have another value in their sources, and need a restart.
    pub waiting: Vec<&'static str>,
}

/// What files are by their paths, if they are there.
type Files = BTreeMap<PathBuf, Option<Fingerprint>>;

/// What tells a file from the one that was there before: where its name leads to, and which file that is.
type Fingerprint = (PathBuf, u64, u64, i64, i64);

impl Running {
    /// Reads the settings of this process.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn start(given: Given) -> Result<Running, Vec<Mistake>> {
        let sources = Sources::of_process(given.clone());
        let read = files(sources.files().iter().map(|file| file.path.clone()));
        let settings = Settings::read(sources.clone())?;
        let seen = read.clone();
        Ok(Running { given, sources, settings, read, seen })
    }

    /// The settings that are in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The files that they came from.
    pub fn files(&self) -> &[SourceFile] {
        self.sources.files()
    }

    /// Whether a file has changed since it was read, and is at rest: who writes one takes a moment.
    pub fn has_changed(&mut self) -> bool {
        let now = files(self.seen.keys().cloned());
        let is_at_rest = now == self.seen;
        self.seen = now;
        is_at_rest && self.seen != self.read
    }

    /// Reads everything once more. The settings in force stay as they are until they are
    /// [taken over](Running::take_over).
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn reload(&mut self) -> Result<(Sources, Reloaded), Vec<Mistake>> {
        self.read = files(self.seen.keys().cloned());
        let mut read = Sources::of_process(self.given.clone());
        read.compare(&self.sources);
        for file in read.files() {
            self.read.entry(file.path.clone()).or_insert_with_key(|path| fingerprint(path));
        }
        self.seen.clone_from(&self.read);
        // All of it has to be right, also what waits for a restart.
        let whole = Settings::read(read.clone())?;
        let (mut changed, mut waiting) = (Vec::new(), Vec::new());
        for setting in SETTINGS {
            let differs = read.value(setting.key).0 != self.sources.value(setting.key).0;
            match setting.change() {
                Change::AtOnce | Change::NextConnection if differs => changed.push(setting.key),
                Change::Restart if differs => waiting.push(setting.key),
                Change::AtOnce | Change::NextConnection | Change::Restart => {}
            }
        }
        // A file can change under the same name.
        let (amqp, known) = (&whole.amqp, &self.settings.amqp);
        if amqp.ca != known.ca || amqp.client_certificate != known.client_certificate {
            let files = SETTINGS.iter().map(|it| it.key).filter(|key| key.starts_with("amqp.tls."));
            changed.extend(files.filter(|key| read.value(key).0.is_some()));
            changed.dedup();
        }
        let sources = read.where_not(&self.sources, &waiting);
        let settings = Settings::read(sources.clone())?;
        Ok((sources, Reloaded { settings, changed, waiting }))
    }

    /// From now on these are the settings in force.
    pub fn take_over(&mut self, sources: Sources, settings: Settings) {
        (self.sources, self.settings) = (sources, settings);
    }
}

fn files(paths: impl Iterator<Item = PathBuf>) -> Files {
    paths.map(|path| (path.clone(), fingerprint(&path))).collect()
}

fn fingerprint(path: &Path) -> Option<Fingerprint> {
    // An orchestrator exchanges a link on the way, so that all of the path counts.
    let path = path.canonicalize().ok()?;
    let metadata: Metadata = path.metadata().ok()?;
    Some((path, metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}
