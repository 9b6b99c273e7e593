//! Certificates, the house's errand: obtained, renewed in time, and watched over, so that a failure is known while the old one still holds.
//!
//! One file for each name, `DATA/tls/NAME.pem`, which the workers read like any other ([`crate::role::certificate`]). Nothing here ever takes a certificate
//! away: whatever fails, what is there is served on. `docs/adr/0014`.

mod authority;
mod client;
mod file;
mod schedule;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::config::host::Host;
use crate::config::{Acme, Config, Tls};
use file::Leaf;
pub use schedule::Start;
use schedule::{Tries, Validity, due};

/// How often the operator's own files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How early the operator is told that a certificate of his own expires.
const EXPIRY_NOTICE: Duration = Duration::from_secs(14 * 24 * 3_600);
/// How often the log repeats it.
const REPEAT_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// At the latest then the clock is looked at again: it may have been set.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);
/// The pause before another try to write, after a disk took nothing.
const WRITE_AGAIN: Duration = Duration::from_secs(60);
/// No two looks follow faster, whatever the clock and the disk do.
const SLEEP_MIN: Duration = Duration::from_secs(1);
/// How long one try may take; more than its parts may.
const TRY_WAIT: Duration = Duration::from_secs(300);
/// Proofs under way: one for each name would do.
const CHALLENGES_MAX: usize = 16;

/// What the house knows of its certificates. Cheap to clone.
#[derive(Clone, Default)]
pub struct Certificates {
    standings: Arc<Mutex<Vec<Standing>>>,
    challenges: Challenges,
}

/// How one certificate is.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The name it is for, or its file if it has none.
    pub name: String,
    /// When it expires; `None` while there is only a placeholder, or none that can be read.
    pub expires: Option<SystemTime>,
    /// What could not be done, ever since this house began.
    pub failures: u64,
    /// What cannot be done now.
    failing: Option<Failing>,
    /// How early its expiry is an alarm.
    notice: Duration,
}

/// What cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    Obtain,
    Renew,
    Read,
}

/// What authorities are shown, by token.
#[derive(Clone, Default)]
struct Challenges(Arc<Mutex<HashMap<String, String>>>);

/// A token is answered for as long as this is held.
struct Shown {
    token: String,
    challenges: Challenges,
}

/// Whether an authority could be asked as the configuration says. Nobody is asked.
///
/// # Errors
/// There is nobody to trust; in words for an operator.
pub fn check(config: &Config) -> Result<(), String> {
    config.acme.as_ref().map_or(Ok(()), |acme| client::Client::new(acme.root.as_deref()).map(drop))
}

/// Puts a placeholder wherever a certificate will be obtained and there is none, so that workers can begin at once.
///
/// # Errors
/// A file cannot be written; in words for an operator.
pub fn prepare(config: &Config) -> Result<(), String> {
    let names = config.acme.iter().flat_map(|acme| &acme.names);
    names.into_iter().try_for_each(|name| file::ensure(&config.certificate_file(name), name))
}

/// Pairs of files that the operator gave, and what they are called: a name, or the file where there is none.
fn of_the_operators_own(config: &Config) -> Vec<(String, Tls)> {
    let pages = config.tls.iter().map(|files| {
        let file = || files.certificate.display().to_string();
        (config.host.as_ref().map_or_else(file, Host::to_string), files.clone())
    });
    let here = config.hls.as_ref().and_then(|hls| hls.here.as_ref()).filter(|here| !here.obtained);
    pages.chain(here.map(|here| (here.name.clone(), here.tls.clone()))).collect()
}

impl Certificates {
    /// Begins to look after them, on this runtime.
    pub fn start(config: &Config, start: Start) -> Self {
        let certificates = Self::default();
        if let Some(acme) = config.acme.clone() {
            let errands =
                acme.names.iter().map(|name| Errand::new(name, config.certificate_file(name), &acme.directory, start));
            let (errands, account) = (errands.collect(), config.data.join("keys/acme.json"));
            tokio::spawn(certificates.clone().obtain(acme, errands, account));
        }
        for (name, files) in of_the_operators_own(config) {
            tokio::spawn(certificates.clone().look_at(files, name));
        }
        certificates
    }

    /// The answer to an authority that asks for this token.
    pub fn challenge(&self, token: &str) -> Option<String> {
        lock(&self.challenges.0).get(token).cloned()
    }

    /// All of them.
    pub fn standings(&self) -> Vec<Standing> {
        lock(&self.standings).clone()
    }

    fn note(&self, name: &str, change: impl FnOnce(&mut Standing)) {
        let mut standings = lock(&self.standings);
        let at = standings.iter().position(|standing| standing.name == name).unwrap_or_else(|| {
            standings.push(Standing {
                name: name.to_owned(),
                expires: None,
                failures: 0,
                failing: None,
                notice: Duration::ZERO,
            });
            standings.len() - 1
        });
        if let Some(standing) = standings.get_mut(at) {
            change(standing);
        }
    }

    /// Obtains and renews, one name after the other, for ever.
    async fn obtain(self, acme: Acme, mut errands: Vec<Errand>, account: PathBuf) {
        loop {
            let mut next = now() + SLEEP_MAX;
            for errand in &mut errands {
                let mut at = self.when(errand);
                if at <= now() {
                    self.try_once(errand, &acme, &account).await;
                    at = self.when(errand);
                }
                next = next.min(at);
            }
            tokio::time::sleep(next.duration_since(now()).unwrap_or_default().max(SLEEP_MIN)).await;
        }
    }

    /// When this name is to be asked for next, or what was given is to be written.
    fn when(&self, errand: &mut Errand) -> SystemTime {
        let due = errand.due();
        let held = errand.held();
        self.note(errand.name.as_str(), |standing| {
            standing.expires = held.map(|held| held.until);
            standing.failing = errand.is_failing().then_some(errand.failing());
        });
        due.min(now() + SLEEP_MAX)
    }

    async fn try_once(&self, errand: &mut Errand, acme: &Acme, account: &Path) {
        // What the operator may have repaired has been tried.
        errand.start = Start::Again;
        let kept = match errand.begin() {
            Ok(Next::Ask { before }) => {
                let obtaining = authority::obtain(acme, &errand.name, account, &self.challenges);
                let obtained = tokio::time::timeout(TRY_WAIT, obtaining).await;
                let obtained = obtained.unwrap_or_else(|_| {
                    Err(authority::Failure::Unclear(format!("it did not finish within {} s", TRY_WAIT.as_secs())))
                });
                match obtained {
                    Ok(text) => errand.keep(text),
                    Err(why) => {
                        if matches!(why, authority::Failure::Unreachable(_)) {
                            errand.was_away(before);
                        }
                        Err(why.to_string())
                    }
                }
            }
            Ok(Next::Keep(text)) => errand.keep(text),
            Err(why) => Err(why),
        };
        let name = errand.name.clone();
        match kept {
            Ok(()) => {
                let until = errand.held().map(|held| held.until);
                self.note(name.as_str(), |standing| (standing.expires, standing.failing) = (until, None));
                let expires = until.map(|until| expiry(until, now())).unwrap_or_default();
                tracing::info!("a certificate for {name} was obtained; {expires}, and is renewed before");
            }
            Err(why) => {
                self.note(name.as_str(), |standing| {
                    standing.failures += 1;
                    standing.failing = Some(errand.failing());
                });
                let served = match errand.held() {
                    Some(held) if held.until > now() => "the one before it is served on",
                    Some(_) => "the one before it, which has expired, is served on",
                    None => "until there is one, browsers warn of this server",
                };
                let next = match errand.due().duration_since(now()).unwrap_or_default().as_secs() {
                    seconds @ ..120 => format!("{seconds} seconds"),
                    seconds => format!("{} minutes", seconds.div_ceil(60)),
                };
                tracing::error!("no certificate for {name}: {why}. Meanwhile {served}; the next try is in {next}");
            }
        }
    }

    /// Looks at the operator's own certificate for ever. Whether it can be used the workers see for themselves.
    async fn look_at(self, files: Tls, name: String) {
        let mut said: Option<SystemTime> = None;
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut read_before = true;
        loop {
            look.tick().await;
            let leaf = crate::role::certificate::load(&files)
                .and_then(|_| std::fs::read(&files.certificate).map_err(|why| why.to_string()))
                .and_then(|text| Leaf::of(&text));
            self.note(&name, |standing| {
                standing.notice = EXPIRY_NOTICE;
                match &leaf {
                    Ok(leaf) => (standing.expires, standing.failing) = (Some(leaf.validity.until), None),
                    Err(_) => {
                        standing.failures += u64::from(read_before);
                        standing.failing = Some(Failing::Read);
                    }
                }
            });
            read_before = leaf.is_ok();
            let Ok(leaf) = leaf else { continue };
            let now = now();
            if leaf.validity.until > now + EXPIRY_NOTICE {
                said = None;
            } else if said.is_none_or(|said| now.duration_since(said).is_ok_and(|since| since >= REPEAT_EVERY)) {
                said = Some(now);
                tracing::error!(
                    "{}: {}; it is served on. Put a new one in its place",
                    files.certificate.display(),
                    expiry(leaf.validity.until, now)
                );
            }
        }
    }
}

impl Standing {
    /// What is wrong with it, in words for whoever asks: strangers may.
    pub fn alarm(&self, now: SystemTime) -> Option<String> {
        let name = &self.name;
        if let Some(until) = self.expires.filter(|until| *until <= now + self.notice) {
            return Some(format!("certificate of {name}: {}", expiry(until, now)));
        }
        Some(match self.failing? {
            Failing::Obtain => format!("certificate of {name}: it could not be obtained"),
            Failing::Renew => format!("certificate of {name}: it could not be renewed yet"),
            Failing::Read => format!("certificate of {name}: the file cannot be used"),
        })
    }
}

/// When it expires, in words.
fn expiry(until: SystemTime, now: SystemTime) -> String {
    match until.duration_since(now) {
        Ok(left) if left.is_zero() => "it has expired".into(),
        Ok(left) if left.as_secs() >= 2 * 86_400 => format!("it expires in {} days", left.as_secs() / 86_400),
        Ok(left) => format!("it expires in {} hours", left.as_secs().div_ceil(3_600)),
        Err(_) => "it has expired".into(),
    }
}

/// One name that certificates are obtained for.
struct Errand {
    name: Host,
    file: PathBuf,
    /// Where [`Record`] is kept.
    tries: PathBuf,
    jitter: f64,
    start: Start,
    /// Read once: a disk that takes nothing must not make it forget, and ask without end.
    record: Record,
    /// What was given and is not on the disk yet. Authorities give few of the same.
    given: Option<String>,
    /// The disk took nothing: it is not tried again before.
    write_at: Option<Instant>,
}

/// What is to be done for a name.
enum Next {
    /// To ask the authority; this was remembered before.
    Ask { before: Record },
    /// To write what it gave.
    Keep(String),
}

/// What is remembered of the tries for a name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Record {
    /// Of whom: another authority is asked anew.
    directory: String,
    /// Seconds since 1970.
    tried: u64,
    failed: u32,
    away: u32,
    /// The file holds one from there.
    obtained: bool,
}

impl Record {
    fn read(path: &Path, directory: &str) -> Self {
        let read = || serde_json::from_slice::<Self>(&std::fs::read(path).ok()?).ok();
        let known = read().filter(|record| record.directory == directory);
        known.unwrap_or_else(|| Self { directory: directory.to_owned(), ..Self::default() })
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data is always JSON")
    }

    fn tries(&self) -> Tries {
        let at = (self.tried > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(self.tried));
        Tries { at, failed: self.failed, away: self.away }
    }
}

impl Errand {
    fn new(name: &Host, file: PathBuf, directory: &str, start: Start) -> Self {
        let tries = file.with_extension("json");
        let record = Record::read(&tries, directory);
        Self { name: name.clone(), file, tries, jitter: jitter(), start, record, given: None, write_at: None }
    }

    /// When there is something to do.
    fn due(&mut self) -> SystemTime {
        self.mind_clock();
        match self.write_at {
            Some(at) => now() + at.saturating_duration_since(Instant::now()),
            None if self.given.is_some() => now(),
            None => due(self.held(), self.record.tries(), self.start, self.jitter),
        }
    }

    /// A try that lies ahead was made while the clock was: it counts as made now, once, or the pause would begin anew with each look.
    fn mind_clock(&mut self) {
        let now = seconds(now());
        if self.record.tried <= now {
            return;
        }
        self.record.tried = now;
        if let Err(why) = file::replace(&self.tries, &self.record.text()) {
            tracing::warn!("cannot write {}: {why}", self.tries.display());
        }
    }

    /// Counts a try before it is known how it ends, so that a house that dies of it has still tried.
    ///
    /// # Errors
    /// The disk takes nothing, so that nothing could be kept either, and nobody is to be asked.
    fn begin(&mut self) -> Result<Next, String> {
        self.write_at = None;
        if let Some(text) = self.given.take() {
            return Ok(Next::Keep(text));
        }
        let before = self.record.clone();
        let asked =
            Record { tried: seconds(now()), failed: before.failed.saturating_add(1), away: 0, ..before.clone() };
        self.write(&asked)?;
        self.record = asked;
        Ok(Next::Ask { before })
    }

    /// The authority was not reached, so that it knows of no failure.
    fn was_away(&mut self, before: Record) {
        self.record = Record { tried: self.record.tried, away: before.away.saturating_add(1), ..before };
        if let Err(why) = self.write(&self.record.clone()) {
            tracing::warn!("{why}");
        }
    }

    /// Puts what was given in its place; if that fails it is tried again later, and nobody is asked.
    fn keep(&mut self, text: String) -> Result<(), String> {
        let kept = Record { failed: 0, away: 0, obtained: true, ..self.record.clone() };
        let written = file::replace(&self.file, text.as_bytes())
            .map_err(|why| format!("cannot write {}: {why}", self.file.display()));
        if let Err(why) = written {
            self.given = Some(text);
            self.write_at = Some(Instant::now() + WRITE_AGAIN);
            return Err(why);
        }
        self.record = kept;
        let record = self.record.clone();
        self.write(&record).inspect_err(|_| self.given = Some(text))
    }

    fn write(&mut self, record: &Record) -> Result<(), String> {
        file::replace(&self.tries, &record.text()).map_err(|why| {
            self.write_at = Some(Instant::now() + WRITE_AGAIN);
            format!("cannot write {}: {why}", self.tries.display())
        })
    }

    /// The validity of what is in the file, if it is more than a placeholder.
    fn held(&self) -> Option<Validity> {
        let leaf = Leaf::of(&std::fs::read(&self.file).ok()?).ok()?;
        (self.record.obtained && !leaf.is_self_signed && leaf.is_for(&self.name)).then_some(leaf.validity)
    }

    fn is_failing(&self) -> bool {
        self.write_at.is_some() || self.record.failed.max(self.record.away) > 0
    }

    fn failing(&self) -> Failing {
        if self.held().is_some() { Failing::Renew } else { Failing::Obtain }
    }
}

impl Challenges {
    fn show(&self, token: String, answer: String) -> Shown {
        let mut shown = lock(&self.0);
        if shown.len() < CHALLENGES_MAX {
            shown.insert(token.clone(), answer);
        }
        Shown { token, challenges: self.clone() }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        lock(&self.challenges.0).remove(&self.token);
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// From 0 to 1, another on each machine.
fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_hears_of_a_certificate_that_fails_or_expires() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let day = Duration::from_secs(86_400);
        let check = |expires: Option<SystemTime>, failing, expected: Option<&str>| {
            let standing =
                Standing { name: "talk.example".into(), expires, failures: 0, failing, notice: EXPIRY_NOTICE };
            let alarm = standing.alarm(now);
            assert_eq!(
                alarm.as_deref().and_then(|words| words.strip_prefix("certificate of talk.example: ")),
                expected
            );
        };
        check(Some(now + day * 15), None, None);
        check(Some(now + day * 14), None, Some("it expires in 14 days"));
        check(Some(now + day), None, Some("it expires in 24 hours"));
        check(Some(now), None, Some("it has expired"));
        check(Some(now - day), Some(Failing::Renew), Some("it has expired"));
        check(Some(now + day * 30), Some(Failing::Renew), Some("it could not be renewed yet"));
        check(None, Some(Failing::Obtain), Some("it could not be obtained"));
        check(None, None, None);
    }

    #[test]
    fn every_pair_of_the_operators_own_is_looked_at_whatever_is_obtained() {
        use clap::Parser;
        let check = |text: &str, expected: &[(&str, &str)]| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("hiwar.toml");
            std::fs::write(&path, format!("{text}[rtc]\npublic_address = \"192.0.2.1\"\n")).unwrap();
            let given = ["hiwar", "serve", "--config", path.to_str().unwrap()];
            let crate::cli::Command::Serve(args) = crate::cli::Cli::try_parse_from(given).unwrap().command else {
                panic!()
            };
            let pairs = of_the_operators_own(&Config::resolve(&args).unwrap());
            let pairs: Vec<_> =
                pairs.iter().map(|(name, files)| (name.as_str(), files.certificate.to_str().unwrap())).collect();
            assert_eq!(pairs, expected, "{text}");
        };
        let own = "[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
        let hls = "hls_base = \"https://hls.talk.example\"\n";
        let own_hls = "[hls_tls]\ncertificate = \"h.pem\"\nkey = \"k.pem\"\n";
        let host = "host = \"talk.example\"\n";
        check(host, &[]);
        check(own, &[("c.pem", "c.pem")]);
        check(&format!("{host}{hls}{own_hls}"), &[("hls.talk.example", "h.pem")]);
        check(&format!("{host}{hls}{own}{own_hls}"), &[("talk.example", "c.pem"), ("hls.talk.example", "h.pem")]);
        check(&format!("{host}{hls}hls_here = true\n"), &[]);
    }

    const DIRECTORY: &str = "https://authority.example/dir";

    /// An errand in a directory of its own: a file in the place of `tls` is a disk that takes nothing.
    fn errand(dir: &Path) -> Errand {
        Errand::new(&Host::parse("talk.example").unwrap(), dir.join("tls/talk.example.pem"), DIRECTORY, Start::Again)
    }

    fn given() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut issuer = rcgen::CertificateParams::new(vec![]).unwrap();
        issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        issuer.distinguished_name.push(rcgen::DnType::CommonName, "An authority for tests");
        let issuer = rcgen::CertifiedIssuer::self_signed(issuer, rcgen::KeyPair::generate().unwrap()).unwrap();
        let params = rcgen::CertificateParams::new(vec!["talk.example".into()]).unwrap();
        format!("{}{}", params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn while_the_disk_takes_nothing_nobody_is_asked_and_there_is_a_pause() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tls"), "").unwrap();
        let mut errand = errand(dir.path());
        assert!(errand.due() <= now(), "a first one is asked for at once");
        for _ in 0..3 {
            let why = errand.begin().err().expect("nobody is asked");
            assert!(why.starts_with("cannot write ") && errand.is_failing(), "{why}");
            assert!(errand.due() > now() + WRITE_AGAIN / 2);
        }
        std::fs::remove_file(dir.path().join("tls")).unwrap();
        assert!(matches!(errand.begin(), Ok(Next::Ask { .. })));
        assert!(errand.due() > now() + WRITE_AGAIN / 2, "and then not again and again");
    }

    #[test]
    fn what_was_given_is_kept_until_the_disk_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut errand = errand(dir.path());
        assert!(matches!(errand.begin(), Ok(Next::Ask { .. })));
        // Meanwhile the disk has become full.
        let (tls, aside) = (dir.path().join("tls"), dir.path().join("aside"));
        std::fs::rename(&tls, &aside).unwrap();
        std::fs::write(&tls, "").unwrap();
        let text = given();
        let mut next = errand.keep(text.clone());
        for _ in 0..3 {
            assert!(next.unwrap_err().starts_with("cannot write ") && errand.is_failing());
            assert!(errand.due() > now() + WRITE_AGAIN / 2);
            let Ok(Next::Keep(kept)) = errand.begin() else { panic!("what was given is forgotten") };
            assert_eq!(kept, text);
            next = errand.keep(kept);
        }
        std::fs::remove_file(&tls).unwrap();
        std::fs::rename(&aside, &tls).unwrap();
        let Ok(Next::Keep(kept)) = errand.begin() else { panic!("what was given is forgotten") };
        errand.keep(kept).unwrap();
        assert!(!errand.is_failing() && errand.held().is_some() && errand.given.is_none());
        assert!(errand.due() > now() + Duration::from_secs(86_400));
        // The next house knows it.
        let errand = super::tests::errand(dir.path());
        assert!(errand.held().is_some() && !errand.is_failing());
    }

    #[test]
    fn a_try_that_lies_ahead_is_moved_to_now_once() {
        let dir = tempfile::tempdir().unwrap();
        let ahead = seconds(now()) + 365 * 86_400;
        let record = Record { directory: DIRECTORY.into(), tried: ahead, failed: 1, ..Record::default() };
        file::replace(&dir.path().join("tls/talk.example.json"), &record.text()).unwrap();
        let mut first = errand(dir.path());
        let due = first.due();
        assert!(due > now() && due < now() + Duration::from_secs(600), "{due:?}");
        let moved = first.record.tried;
        assert!(moved < ahead);
        // Time goes on, and the next look sees it come nearer.
        first.record.tried -= 3_600;
        assert!(first.due() <= now());
        assert_eq!(errand(dir.path()).record.tried, moved, "and so does the next house");
    }

    #[test]
    fn what_could_not_be_reached_does_not_count_as_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let mut errand = errand(dir.path());
        let Ok(Next::Ask { before }) = errand.begin() else { panic!() };
        errand.was_away(before);
        let next = super::tests::errand(dir.path());
        assert_eq!((next.record.failed, next.record.away), (0, 1));
        assert!(next.record.tried > 0 && next.is_failing());
    }

    #[test]
    fn a_token_is_answered_for_as_long_as_it_is_shown() {
        let certificates = Certificates::default();
        let shown = certificates.challenges.show("token".into(), "answer".into());
        assert_eq!(certificates.challenge("token").as_deref(), Some("answer"));
        assert_eq!(certificates.challenge("other"), None);
        drop(shown);
        assert_eq!(certificates.challenge("token"), None);
    }
}
