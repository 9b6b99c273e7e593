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
use std::time::{Duration, SystemTime};

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

impl Certificates {
    /// Begins to look after them, on this runtime.
    pub fn start(config: &Config, start: Start) -> Self {
        let certificates = Self::default();
        if let Some(acme) = config.acme.clone() {
            let errands = acme.names.iter().map(|name| Errand {
                name: name.clone(),
                file: config.certificate_file(name),
                tries: config.data.join("tls").join(format!("{name}.json")),
                jitter: jitter(),
                start,
            });
            let (errands, account) = (errands.collect(), config.data.join("keys/acme.json"));
            tokio::spawn(certificates.clone().obtain(acme, errands, account));
        } else if let Some(files) = config.tls.clone() {
            let name = config.host.as_ref().map(Host::to_string);
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
                let mut at = self.when(errand, &acme);
                if at <= now() {
                    self.try_once(errand, &acme, &account).await;
                    at = self.when(errand, &acme);
                }
                next = next.min(at);
            }
            tokio::time::sleep(next.duration_since(now()).unwrap_or_default()).await;
        }
    }

    /// When this name is to be asked for next.
    fn when(&self, errand: &Errand, acme: &Acme) -> SystemTime {
        let record = errand.record(acme);
        let held = errand.held().filter(|_| record.obtained);
        let failing = if held.is_some() { Failing::Renew } else { Failing::Obtain };
        self.note(errand.name.as_str(), |standing| {
            standing.expires = held.map(|held| held.until);
            standing.failing = (record.failed.max(record.away) > 0).then_some(failing);
        });
        due(held, record.tries(), errand.start, errand.jitter).min(now() + SLEEP_MAX)
    }

    async fn try_once(&self, errand: &mut Errand, acme: &Acme, account: &Path) {
        // What the operator may have repaired has been tried.
        errand.start = Start::Again;
        let before = errand.record(acme);
        let held = errand.held().filter(|_| before.obtained);
        // Counted before it is known, so that a house that dies of it has still tried.
        let asked =
            Record { tried: seconds(now()), failed: before.failed.saturating_add(1), away: 0, ..before.clone() };
        errand.write(&asked);
        let name = &errand.name;
        let obtaining = authority::obtain(acme, name, account, &self.challenges);
        let obtained = tokio::time::timeout(TRY_WAIT, obtaining).await;
        let obtained = obtained.unwrap_or_else(|_| {
            Err(authority::Failure::Unclear(format!("it did not finish within {} s", TRY_WAIT.as_secs())))
        });
        let away = matches!(obtained, Err(authority::Failure::Unreachable(_)));
        let kept = match obtained {
            Ok(text) => file::replace(&errand.file, text.as_bytes())
                .map_err(|why| format!("cannot write {}: {why}", errand.file.display())),
            Err(why) => Err(why.to_string()),
        };
        match kept {
            Ok(()) => {
                errand.write(&Record { failed: 0, obtained: true, ..asked });
                let until = errand.held().map(|held| held.until);
                self.note(name.as_str(), |standing| (standing.expires, standing.failing) = (until, None));
                let expires = until.map(|until| expiry(until, now())).unwrap_or_default();
                tracing::info!("a certificate for {name} was obtained; {expires}, and is renewed before");
            }
            Err(why) => {
                let failed = match away {
                    true => Record { tried: asked.tried, away: before.away.saturating_add(1), ..before },
                    false => asked,
                };
                errand.write(&failed);
                let failing = if held.is_some() { Failing::Renew } else { Failing::Obtain };
                self.note(name.as_str(), |standing| {
                    standing.failures += 1;
                    standing.failing = Some(failing);
                });
                let next =
                    due(held, failed.tries(), errand.start, errand.jitter).duration_since(now()).unwrap_or_default();
                let next = match next.as_secs() {
                    seconds @ ..120 => format!("{seconds} seconds"),
                    seconds => format!("{} minutes", seconds.div_ceil(60)),
                };
                let served = match held {
                    Some(held) if held.until > now() => "the one before it is served on",
                    Some(_) => "the one before it, which has expired, is served on",
                    None => "until there is one, browsers warn of this server",
                };
                tracing::error!("no certificate for {name}: {why}. Meanwhile {served}; the next try is in {next}");
            }
        }
    }

    /// Looks at the operator's own certificate for ever. Whether it can be used the workers see for themselves.
    async fn look_at(self, files: Tls, name: Option<String>) {
        let mut said: Option<SystemTime> = None;
        let mut look = tokio::time::interval(LOOK_EVERY);
        let unnamed = files.certificate.display().to_string();
        let name = name.unwrap_or(unnamed);
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
    fn tries(&self) -> Tries {
        let at = (self.tried > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(self.tried));
        // A clock that was ahead is no reason to wait until then.
        Tries { at: at.map(|at| at.min(now())), failed: self.failed, away: self.away }
    }
}

impl Errand {
    fn record(&self, acme: &Acme) -> Record {
        let read = || serde_json::from_slice::<Record>(&std::fs::read(&self.tries).ok()?).ok();
        let known = read().filter(|record| record.directory == acme.directory);
        known.unwrap_or_else(|| Record { directory: acme.directory.clone(), ..Record::default() })
    }

    fn write(&self, record: &Record) {
        let text = serde_json::to_vec(record).expect("plain data is always JSON");
        if let Err(why) = file::replace(&self.tries, &text) {
            // Tries go on; only a death would forget them.
            tracing::warn!("cannot write {}: {why}", self.tries.display());
        }
    }

    /// The validity of what is in the file, if it is more than a placeholder.
    fn held(&self) -> Option<Validity> {
        let leaf = Leaf::of(&std::fs::read(&self.file).ok()?).ok()?;
        (!leaf.is_self_signed && leaf.is_for(&self.name)).then_some(leaf.validity)
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
    fn a_token_is_answered_for_as_long_as_it_is_shown() {
        let certificates = Certificates::default();
        let shown = certificates.challenges.show("token".into(), "answer".into());
        assert_eq!(certificates.challenge("token").as_deref(), Some("answer"));
        assert_eq!(certificates.challenge("other"), None);
        drop(shown);
        assert_eq!(certificates.challenge("token"), None);
    }
}
