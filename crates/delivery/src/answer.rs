//! A request meets what the worker has: the answer, or who is to give it.
//!
//! `delivery` asks nobody: a pass is checked with a key, everything else is read from the worker's own documents and tails. Nothing
//! here writes to a socket. What is not ours goes to the house.

use bytes::Bytes;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::SystemTime;

use hiwar_admission::reaction::Reaction;
use hiwar_admission::{Asking, CrowdKeys};
use hiwar_segment_log::LogId;

use crate::audience::{Crowd, Who};
use crate::clip::{Clip, ClipForm};
use crate::coding::{self, Coding};
use crate::door;
use crate::fanout::Reader;
use crate::head::Head;
use crate::hls::{self, File, Outcome};
use crate::playlist;
use crate::problem::{Keep, Language, Problem};
use crate::range::{self, Wish};
use crate::request::{Body, Connection, Method, Request};
use crate::rewind::{self, Rewind};
use crate::tail::{Access, Ended, REVIEW, Tail};
use crate::window::Found;

mod recording;

pub use recording::{Replay, ReplayForm};

/// Everything a worker can answer by itself.
#[derive(Debug)]
pub struct Site {
    /// By path. One whose path ends in `/` (other than `/` itself) is the 404 page of what lies directly below it.
    pub documents: HashMap<String, Document>,
    /// The logs that are open here, live or ended.
    pub logs: HashMap<LogId, Tail>,
    /// Logs of which there is no sound.
    pub shut: HashMap<LogId, Shut>,
    /// Whether that is all.
    pub told: Told,
    /// Checks listening passes and badges of rehearsals, and makes people into numbers.
    pub keys: CrowdKeys,
    /// For whom it answers.
    pub serves: Serves,
    /// What the last request means for whoever counts, who takes it.
    pub noted: Option<Noted>,
}

/// For whom a worker is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Whoever comes: sound, recordings, pages, and the way to the house.
    Crowd,
    /// The people who host and speak: only the way to the house. A crowd that found this port would gain nothing here, so it cannot
    /// fill the one worker that is kept free of it (`docs/adr/0001`).
    Stage,
    /// Whoever typed a name and nothing more, on the port of plain HTTP: they are sent on to this origin (`https://talk.example`), where
    /// the public side is. The one other thing here is the way to the house for whoever proves that the name is ours (RFC 8555 §8.3).
    Redirect {
        /// Without a slash at its end.
        origin: String,
    },
}

/// Why there is no sound of a log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Shut {
    /// Who may know.
    pub access: Access,
    /// When there will be; `None`: never.
    pub opens: Option<SystemTime>,
}

impl Shut {
    /// What to say to whoever asks now.
    fn problem(self, now: SystemTime) -> Problem {
        let Some(opens) = self.opens else { return Problem::Cancelled };
        let until_s = opens.duration_since(now).unwrap_or_default().as_secs() + 1;
        // When each of them asked is as good as chance.
        let spread_s =
            now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_millis() % OPENING_SPREAD_S;
        Problem::Early(u32::try_from(until_s).map_or(OPENING_WAIT_S_MAX, |s| s.min(OPENING_WAIT_S_MAX)) + spread_s)
    }
}

/// Whoever waits for doors asks again after so long at the latest: a host may open them sooner than was said.
const OPENING_WAIT_S_MAX: u32 = 300;
/// Within so many seconds they come: players that wait for the same doors are not to ask in the same second.
const OPENING_SPREAD_S: u32 = 8;

/// How much of what stands a worker has been told.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A part, or nothing: what is unknown may exist, and nobody is told otherwise.
    Partly,
    /// Everything: what is unknown does not exist. A worker that was told everything once stays so, for it is told of every change.
    Wholly,
}

impl Told {
    /// What to say of something that is not known here.
    fn unknown(self) -> Problem {
        match self {
            Self::Partly => Problem::Starting,
            Self::Wholly => Problem::NotFound,
        }
    }
}

/// What is counted of a request that leaves no listener behind.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A piece of what is live was asked for; it is not there, and that will not change.
    Fetched(LogId),
    /// A piece of what is live was asked for, and is answered, at once or when there is more to hear.
    Heard(LogId, Crowd),
    /// There was no room for somebody who asked for sound.
    TurnedAway(LogId, Crowd),
}

impl Noted {
    /// Of which log.
    pub fn log(self) -> LogId {
        match self {
            Self::Fetched(log) | Self::Heard(log, _) | Self::TurnedAway(log, _) => log,
        }
    }
}

impl Site {
    /// Whom the listener of this request is counted as. A pass tells people apart only if it is good: anybody could invent one.
    pub fn who(&self, request: &Request<'_>, address: IpAddr, log: LogId, crowd: Crowd, now: SystemTime) -> Who {
        let space = log.stem();
        let pass = request.pass().and_then(|token| self.keys.listen.check(|key| key.verify(now, token)).ok());
        let pass = pass.filter(|pass| pass.admits(space.as_str()).is_ok()).map(|pass| pass.id);
        let agent = request.fields.iter().find(|field| field.name.eq_ignore_ascii_case("user-agent"));
        let agent = agent.map_or(&[][..], |field| field.value);
        Who { person: self.keys.people.person(space.as_str(), Asking { pass, address, agent }), crowd }
    }

    /// Among whom the listener of this request is counted.
    ///
    /// # Errors
    /// [`Problem::Badge`]: who says to be rehearsed and is not is not counted as one of the audience either.
    pub fn crowd(&self, request: &Request<'_>, now: SystemTime) -> Result<Crowd, Problem> {
        let mut badges = request.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(BADGE));
        let Some(badge) = badges.next() else { return Ok(Crowd::Audience) };
        let badge = std::str::from_utf8(badge.value).ok().filter(|_| badges.next().is_none());
        let granted = badge.and_then(|badge| self.keys.rehearsal.admit(now, badge).ok());
        granted.map(|_| Crowd::Rehearsal).ok_or(Problem::Badge)
    }
}

/// The field in which a listener that a load generator plays says so (`docs/formats/pass.md`). Browsers do not send it across origins, for nobody allows it.
const BADGE: &str = "Hiwar-Rehearsal";

/// A ready answer; what it says is unknown here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// `Content-Type`.
    pub mime: String,
    /// `ETag`, quoted or not; names the content.
    pub etag: String,
    /// `Cache-Control`.
    pub cache: String,
    /// `Content-Security-Policy`, for pages.
    pub policy: Option<String>,
    /// The body.
    pub body: Bytes,
    /// The same compressed, if that is smaller.
    pub brotli: Option<Bytes>,
    /// When what it says was so, if that may be otherwise soon: then it is said how old that is, also where its text has [`AGE`] and [`AGE_IS`].
    pub as_of: Option<SystemTime>,
}

/// In a text that says what may be otherwise soon: so many seconds ago it was so.
pub const AGE: &str = "@age@";
/// The same in a word: `fresh`, or `old` if whoever says it should have said it anew since.
pub const AGE_IS: &str = "@age-is@";
/// Older than this nobody renews it.
const FRESH_S: u64 = 10;

/// What is to be done with a request.
#[derive(Debug)]
pub enum Answer {
    /// Send this.
    Ready {
        /// The response's head.
        head: Vec<u8>,
        /// Its body; empty for HEAD.
        body: Bytes,
        /// Whether the connection goes on.
        keep: Keep,
    },
    /// Send the head, the rendition's init bytes and a burst, then every chunk as it comes.
    Listen {
        /// What is heard.
        log: LogId,
        /// Which rendition, as an index into the header's.
        rendition: usize,
        /// How it will be read.
        reader: Reader,
        /// Among whom it is counted.
        crowd: Crowd,
        /// The response's head.
        head: Vec<u8>,
    },
    /// Nothing yet: ask again when the log has come to this position, has ended, or something of its past became known.
    Hold {
        /// Which log.
        log: LogId,
        /// The position, as [`Tail::live`] counts.
        position: u64,
    },
    /// A listener reacts, and may, if they have not just done so too often: [`reacted`] then.
    React {
        /// To what.
        log: LogId,
        /// How.
        reaction: Reaction,
        /// Among whom they are counted.
        crowd: Crowd,
    },
    /// Somebody waits without JavaScript: their page, made where places are known.
    Wait {
        /// For what.
        log: LogId,
    },
    /// A file, from a thread that may wait for a disk.
    Replay(Replay),
    /// The past of a log, from such a thread too.
    Rewind(Rewind),
    /// The house answers.
    Forward,
}

/// Answers a request from what the site has.
pub fn answer(site: &mut Site, request: &Request<'_>, now: SystemTime) -> Answer {
    let keep = keep(request);
    if let Serves::Redirect { origin } = &site.serves {
        return redirect(origin, request, keep, now);
    }
    let route = if request.path == "/healthz" {
        Route::Health
    } else if request.path == "/readyz" && site.told == Told::Partly && site.serves == Serves::Crowd {
        // Whoever sends people only to those who are ready keeps them from here. The stage needs nothing but the house.
        Route::Unready
    } else if site.serves == Serves::Stage {
        let ours = STAGE_PATHS.contains(&&*request.path) || STAGE_FOLDERS.iter().any(|f| request.path.starts_with(f));
        if ours { Route::Other } else { Route::Nothing }
    } else {
        route(&request.path)
    };
    let sound = match &route {
        Route::Listen { log, .. } | Route::Hls { log, .. } => Some(*log),
        _ => None,
    };
    let answered = match route {
        Route::Health => health(request, keep, now),
        Route::Other if site.serves == Serves::Stage => Ok(Answer::Forward),
        Route::Listen { log, name } => listen(site, request, log, name, keep, now),
        Route::Hls { log, file } => hls(site, request, log, file, keep, now),
        Route::Replay { log, form } => replay(site, request, log, |_| Ok(form), keep, now),
        Route::Clip { log, form } => {
            let clip = |request: &Request<'_>| Clip::parse(form, request).map(ReplayForm::Clip).map_err(Problem::Clip);
            replay(site, request, log, clip, keep, now)
        }
        Route::Wait { log } => wait(site, request, log, now),
        Route::React { log, reaction } => react(site, request, log, reaction, now),
        Route::Nothing => Err(Problem::NotFound),
        Route::Unready => Err(Problem::Starting),
        Route::Other => document(site, request, keep, now),
    };
    if let (Err(Problem::Busy), Some(log)) = (&answered, sound) {
        let crowd = site.crowd(request, now).unwrap_or(Crowd::Audience);
        site.noted = Some(Noted::TurnedAway(log, crowd));
    }
    answered.unwrap_or_else(|problem| refuse(problem, Some(request), keep, now))
}

/// What the stage port passes on to the house; nothing else is there.
const STAGE_FOLDERS: [&str; 2] = ["/api/", "/whip/"];
const STAGE_PATHS: [&str; 1] = ["/readyz"];

/// Where certificate authorities look for what was promised to them (RFC 8555 §8.3): over plain HTTP, on port 80.
const CHALLENGES: &str = "/.well-known/acme-challenge/";
/// How long a browser may remember where it was sent: an operator who changes the port is not haunted by the old one.
const REDIRECT_AGE_S: u32 = 3_600;

/// The same path over HTTPS. 308 keeps the method, so that a POST does not become a GET (RFC 9110 §15.4.9).
fn redirect(origin: &str, request: &Request<'_>, keep: Keep, now: SystemTime) -> Answer {
    if request.path.starts_with(CHALLENGES) && matches!(request.method, Method::Get | Method::Head) {
        return Answer::Forward;
    }
    let head = Head::new(308, now)
        .field("Location", format_args!("{origin}{}", request.target))
        .field("Content-Length", 0)
        .field("Cache-Control", format_args!("max-age={REDIRECT_AGE_S}"))
        .maybe("Connection", (keep == Keep::Close).then_some("close"))
        .end();
    Answer::Ready { head, body: Bytes::new(), keep }
}

/// This process turns its loop, and that is all it says: whether the house is well is asked at `/readyz`. Answered here, so that whoever
/// restarts what is not alive does not restart workers, and cut their listeners, because the house is away.
fn health(request: &Request<'_>, keep: Keep, now: SystemTime) -> Result<Answer, Problem> {
    if !matches!(request.method, Method::Get | Method::Head) {
        return Err(Problem::Method("GET, HEAD"));
    }
    let body = Bytes::from_static(b"ok\n");
    let head = Head::new(200, now)
        .field("Content-Type", "text/plain; charset=utf-8")
        .field("Content-Length", body.len())
        .field("Cache-Control", "no-store")
        .maybe("Connection", (keep == Keep::Close).then_some("close"))
        .end();
    let body = if request.method == Method::Head { Bytes::new() } else { body };
    Ok(Answer::Ready { head, body, keep })
}

/// Whether another request may follow an answer that was given without reading the body: one that nobody reads would be taken for the
/// next request.
pub fn keep(request: &Request<'_>) -> Keep {
    match (request.connection, request.body) {
        (Connection::KeepAlive, Body::None) => Keep::Alive,
        _ => Keep::Close,
    }
}

/// The answer to a request that is refused; `None` if it could not be read.
pub fn refuse(problem: Problem, request: Option<&Request<'_>>, keep: Keep, now: SystemTime) -> Answer {
    let language = Language::preferred(request.and_then(|r| r.field("accept-language")));
    let (head, body) = problem.answer(language, request.map(|r| r.method), keep, now);
    Answer::Ready { head, body, keep }
}

enum Route<'p> {
    Listen {
        log: LogId,
        name: &'p str,
    },
    Hls {
        log: LogId,
        file: &'p str,
    },
    Replay {
        log: LogId,
        form: ReplayForm,
    },
    Clip {
        log: LogId,
        form: ClipForm,
    },
    React {
        log: LogId,
        reaction: Reaction,
    },
    Wait {
        log: LogId,
    },
    /// Whether this worker lives.
    Health,
    /// Whether it is ready, and it is not.
    Unready,
    /// Under one of our folders, but no such thing can exist.
    Nothing,
    Other,
}

fn route(path: &str) -> Route<'_> {
    let routed = if let Some(rest) = path.strip_prefix("/listen/") {
        rest.rsplit_once('.').and_then(|(log, name)| Some(Route::Listen { log: kept(log)?, name }))
    } else if let Some(rest) = path.strip_prefix("/hls/") {
        rest.split_once('/').and_then(|(log, file)| Some(Route::Hls { log: kept(log)?, file }))
    } else if let Some(rest) = path.strip_prefix("/replay/") {
        recording::route(rest)
    } else if let Some(rest) = path.strip_prefix("/react/") {
        rest.split_once('/')
            .and_then(|(log, name)| Some(Route::React { log: kept(log)?, reaction: Reaction::parse(name)? }))
    } else if let Some(rest) = path.strip_prefix("/s/").and_then(|rest| rest.strip_suffix("/wait")) {
        kept(rest).map(|log| Route::Wait { log })
    } else {
        return Route::Other;
    };
    routed.unwrap_or(Route::Nothing)
}

/// A log that can be asked for by name: one beside another is a form of that, and is asked for as such.
fn kept(name: &str) -> Option<LogId> {
    LogId::parse(name).ok().filter(|log| log.stem() == *log)
}

/// GET or HEAD go on; OPTIONS is answered (a player that sends a bearer pass or a range across origins asks first); the rest is
/// refused.
fn sound_method(request: &Request<'_>, keep: Keep, now: SystemTime) -> Result<Option<Answer>, Problem> {
    match request.method {
        Method::Get | Method::Head => Ok(None),
        Method::Options => {
            let head = Head::new(204, now)
                .field("Allow", SOUND_METHODS)
                .field("Access-Control-Allow-Origin", "*")
                .field("Access-Control-Allow-Methods", SOUND_METHODS)
                .field("Access-Control-Allow-Headers", "Authorization, Icy-MetaData, Range, If-Range")
                .field("Access-Control-Max-Age", 86_400)
                .maybe("Connection", (keep == Keep::Close).then_some("close"))
                .end();
            Ok(Some(Answer::Ready { head, body: Bytes::new(), keep }))
        }
        _ => Err(Problem::Method(SOUND_METHODS)),
    }
}

const SOUND_METHODS: &str = "GET, HEAD, OPTIONS";

fn admitted(site: &Site, request: &Request<'_>, log: LogId, access: Access, now: SystemTime) -> Result<(), Problem> {
    if access == Access::Open {
        return Ok(());
    }
    let opens = match access {
        Access::Review => log.beside(REVIEW).ok_or(Problem::NotFound)?,
        Access::Open | Access::Pass => log,
    };
    let pass = request.pass().and_then(|token| site.keys.listen.check(|key| key.verify(now, token)).ok());
    // Whether there is something to review is for those who do.
    let refused = if access == Access::Review { Problem::NotFound } else { Problem::Pass };
    pass.filter(|pass| pass.admits(opens.as_str()).is_ok()).map(drop).ok_or(refused)
}

/// Whether somebody may hear this log, and not only its recording.
fn may_hear(site: &Site, request: &Request<'_>, log: LogId, tail: &Tail, now: SystemTime) -> Result<(), Problem> {
    match tail.access() {
        // This worker was told of it only when it was over, and not for whom it was.
        Access::Review => Err(over(site, log)),
        access => admitted(site, request, log, access, now),
    }
}

/// Why there is no sound of a log that is not open here.
fn silent(site: &Site, request: &Request<'_>, log: LogId, now: SystemTime) -> Problem {
    let Some(shut) = site.shut.get(&log) else { return site.told.unknown() };
    admitted(site, request, log, shut.access, now).err().unwrap_or_else(|| shut.problem(now))
}

/// What is said of a log that is over.
fn over(site: &Site, log: LogId) -> Problem {
    let is_cancelled = site.shut.get(&log).is_some_and(|shut| shut.opens.is_none());
    if is_cancelled { Problem::Cancelled } else { Problem::Ended }
}

fn listen(
    site: &Site,
    request: &Request<'_>,
    log: LogId,
    name: &str,
    keep: Keep,
    now: SystemTime,
) -> Result<Answer, Problem> {
    if let Some(answer) = sound_method(request, keep, now)? {
        return Ok(answer);
    }
    let tail = site.logs.get(&log).ok_or_else(|| silent(site, request, log, now))?;
    may_hear(site, request, log, tail, now)?;
    let crowd = site.crowd(request, now)?;
    if tail.ended() == Ended::Yes {
        return Err(over(site, log));
    }
    let (log, tail, rendition) = find(site, request, log, tail, name)?;
    let told = tail.header().renditions.get(rendition).ok_or(Problem::NotFound)?;
    let head = tail.fields(rendition).fold(Head::new(200, now), |head, (name, value)| head.field(name, value));
    let head = head
        .field("Content-Type", &told.mime)
        .field("Cache-Control", "no-store")
        .field("Access-Control-Allow-Origin", "*")
        .maybe("Access-Control-Expose-Headers", tail.fields(rendition).next().map(|_| "*"))
        .field("Accept-Ranges", "none")
        // The stream ends when the connection does, which is how HTTP/1.0 players understand it too (RFC 9112 §6.3).
        .field("Connection", "close")
        .end();
    if request.method == Method::Head {
        return Ok(Answer::Ready { head, body: Bytes::new(), keep: Keep::Close });
    }
    let is_firefox = request.field("user-agent").is_some_and(|agent| agent.contains("Firefox/"));
    // By Media Source, where blocks are the page's, it reads as others do.
    let plays_itself = tail.header().renditions.get(rendition).is_some_and(|told| told.name != "mp4");
    let reader = if is_firefox && plays_itself { Reader::ByBlocks } else { Reader::Streaming };
    Ok(Answer::Listen { log, rendition, reader, crowd, head })
}

/// Where a rendition is: in the log, or in one beside it that is made while somebody listens. A player that can read titles between the sound
/// (`Icy-MetaData: 1`, as every player of internet radio asks) gets the rendition that has them, if there is one.
fn find<'s>(
    site: &'s Site,
    request: &Request<'_>,
    log: LogId,
    tail: &'s Tail,
    name: &str,
) -> Result<(LogId, &'s Tail, usize), Problem> {
    if let Some((rendition, _)) = tail.rendition(name) {
        return Ok((log, tail, rendition));
    }
    let beside = log.beside(name).ok_or(Problem::NotFound)?;
    let tail = site.logs.get(&beside).ok_or(site.told.unknown())?;
    let (plain, _) = tail.rendition(name).ok_or(Problem::NotFound)?;
    if tail.ended() == Ended::Yes {
        return Err(Problem::Ended);
    }
    let wants_titles = request.field("icy-metadata").is_some_and(|asked| asked.trim() == "1");
    let titled = tail.rendition(ICY).filter(|_| wants_titles).map(|(rendition, _)| rendition);
    Ok((beside, tail, titled.unwrap_or(plain)))
}

/// The name of a rendition with titles between the sound, in the way of SHOUTcast.
pub(crate) const ICY: &str = "icy";

fn hls(
    site: &mut Site,
    request: &Request<'_>,
    log: LogId,
    file: &str,
    keep: Keep,
    now: SystemTime,
) -> Result<Answer, Problem> {
    if let Some(answer) = sound_method(request, keep, now)? {
        return Ok(answer);
    }
    let Some(tail) = site.logs.get(&log) else {
        // Its maker may have been told of a new one before this worker was: the first to ask waits for the news, which takes milliseconds.
        let may_come = site.told == Told::Wholly && !site.shut.contains_key(&log);
        let waits = may_come && file == "live.m3u8" && request.method == Method::Get;
        return if waits { Ok(Answer::Hold { log, position: u64::MAX }) } else { Err(silent(site, request, log, now)) };
    };
    may_hear(site, request, log, tail, now)?;
    let crowd = site.crowd(request, now)?;
    let private = tail.access() == Access::Pass;
    let file = File::parse(file, request).map_err(Problem::Misdirected)?.ok_or(Problem::NotFound)?;
    if let Some(part) = rewound(tail, file, site.told)? {
        return Ok(Answer::Rewind(rewind(tail, request, log, part, keep)));
    }
    let is_live = request.method == Method::Get
        && tail.ended() == Ended::No
        && matches!(file, File::Live(_) | File::Segment(_) | File::Part(..));
    site.noted = is_live.then_some(Noted::Fetched(log));
    let tail = site.logs.get_mut(&log).ok_or(Problem::NotFound)?;
    let pass = request.parameter("pass").filter(|_| private && matches!(file, File::Live(_)));
    let sent = match hls::answer(tail, file, welcome(request, pass)) {
        Ok(Outcome::Send(sent)) => {
            site.noted = is_live.then_some(Noted::Heard(log, crowd));
            sent
        }
        Ok(Outcome::Hold(position)) => {
            site.noted = is_live.then_some(Noted::Heard(log, crowd));
            return Ok(Answer::Hold { log, position });
        }
        // Its chunks may still be on their way.
        Err(Problem::NotFound) => return Err(site.told.unknown()),
        Err(problem) => return Err(problem),
    };
    let body = match (pass, std::str::from_utf8(&sent.body)) {
        (Some(pass), Ok(text)) => Bytes::from(playlist::with_pass(text, pass)),
        _ => sent.body,
    };
    let scope = if private { "private" } else { "public" };
    let head = Head::new(200, now)
        .field("Content-Type", sent.mime)
        .field("Content-Length", body.len())
        .field("Cache-Control", format_args!("{scope}, max-age={}", sent.max_age_s))
        .field("Access-Control-Allow-Origin", "*")
        // A player reckons with how long a cache has held the playlist (RFC 8216bis appendix C).
        .maybe("Access-Control-Expose-Headers", sent.has_addresses.then_some("Age, Date"))
        .maybe("Vary", sent.has_addresses.then_some("Accept-Encoding"))
        .maybe("Content-Encoding", (sent.coding == Coding::Gzip).then_some("gzip"))
        .maybe("Connection", (keep == Keep::Close).then_some("close"))
        .end();
    let body = if request.method == Method::Head { Bytes::new() } else { body };
    Ok(Answer::Ready { head, body, keep })
}

/// How a playlist is welcome. With a pass in its addresses it is one listener's alone: nobody else would have of it what compressing costs.
fn welcome(request: &Request<'_>, pass: Option<&str>) -> Coding {
    if pass.is_some() { Coding::Plain } else { Coding::preferred(request.field("accept-encoding")) }
}

/// What of a log this worker can only have from the disk: the rewind playlist, and segments that have left the window.
fn rewound(tail: &Tail, file: File, told: Told) -> Result<Option<rewind::Part>, Problem> {
    match file {
        File::Rewind(_) if tail.is_shelved() => Err(Problem::Ended),
        File::Rewind(extent) => rewind::playlist(tail, extent).ok_or(Problem::Ended).map(Some),
        File::Segment(number) if tail.window().segment(number) == Found::Nothing => {
            if tail.is_shelved() {
                return Err(Problem::NotFound);
            }
            if tail.newest().is_none() && told == Told::Partly {
                // The newest, which the disk may not have, are about to be told.
                return Err(Problem::Starting);
            }
            rewind::segment(tail, number).ok_or(told.unknown()).map(Some)
        }
        _ => Ok(None),
    }
}

fn rewind(tail: &Tail, request: &Request<'_>, log: LogId, part: rewind::Part, keep: Keep) -> Rewind {
    let access = tail.access();
    let pass = request.parameter("pass").filter(|_| access == Access::Pass);
    Rewind {
        log,
        part,
        shift: tail.shift_segments(),
        live: tail.newest().map(|_| tail.segments_end().saturating_sub(tail.shift_segments())),
        ended: tail.ended(),
        method: request.method,
        keep,
        coding: welcome(request, pass),
        pass: pass.map(str::to_owned),
        access,
        language: Language::preferred(request.field("accept-language")),
    }
}

fn replay(
    site: &Site,
    request: &Request<'_>,
    log: LogId,
    form: impl FnOnce(&Request<'_>) -> Result<ReplayForm, Problem>,
    keep: Keep,
    now: SystemTime,
) -> Result<Answer, Problem> {
    if let Some(answer) = sound_method(request, keep, now)? {
        return Ok(answer);
    }
    // Known logs only: the access of one that was never announced here is unknown, so it is not served.
    let access = site.logs.get(&log).ok_or(site.told.unknown())?.recording_access();
    admitted(site, request, log, access, now)?;
    let form = form(request)?;
    let text = |name| request.field(name).map(str::to_owned);
    let wish = Wish {
        range: text("range").filter(|_| request.method == Method::Get),
        if_range: text("if-range"),
        if_none_match: text("if-none-match"),
        if_modified_since: text("if-modified-since"),
    };
    let pass = (access != Access::Open).then(|| request.parameter("pass").map(str::to_owned)).flatten();
    let language = Language::preferred(request.field("accept-language"));
    Ok(Answer::Replay(Replay { log, form, wish, method: request.method, keep, pass, access, language }))
}

/// Whoever may hear it may react to it, while it is heard.
fn react(
    site: &Site,
    request: &Request<'_>,
    log: LogId,
    reaction: Reaction,
    now: SystemTime,
) -> Result<Answer, Problem> {
    if request.method != Method::Post {
        return Err(Problem::Method("POST"));
    }
    let tail = site.logs.get(&log).ok_or(site.told.unknown())?;
    may_hear(site, request, log, tail, now)?;
    let crowd = site.crowd(request, now)?;
    if tail.ended() == Ended::Yes {
        return Err(Problem::Ended);
    }
    Ok(Answer::React { log, reaction, crowd })
}

/// Whoever may hear it may wait for it. Where there is nothing to wait for any more its page says so, and has what there is.
fn wait(site: &Site, request: &Request<'_>, log: LogId, now: SystemTime) -> Result<Answer, Problem> {
    if !matches!(request.method, Method::Get | Method::Head) {
        return Err(Problem::Method("GET, HEAD"));
    }
    let waits = || {
        let tail = site.logs.get(&log).ok_or_else(|| silent(site, request, log, now))?;
        may_hear(site, request, log, tail, now)?;
        if tail.ended() == Ended::Yes { Err(over(site, log)) } else { Ok(Answer::Wait { log }) }
    };
    match waits() {
        Err(Problem::Ended | Problem::Cancelled) => Ok(door::to_page(request, log.as_str(), now)),
        waits => waits,
    }
}

/// A reaction was taken. A body, which it needs not have, is not read.
pub fn reacted(request: &Request<'_>, now: SystemTime) -> Answer {
    let keep = keep(request);
    let head = Head::new(204, now)
        .field("Cache-Control", "no-store")
        .maybe("Connection", (keep == Keep::Close).then_some("close"))
        .end();
    Answer::Ready { head, body: Bytes::new(), keep }
}

fn document(site: &Site, request: &Request<'_>, keep: Keep, now: SystemTime) -> Result<Answer, Problem> {
    let path: &str = &request.path;
    let is_fallback = |path: &str| path.len() > 1 && path.ends_with('/');
    let found = site.documents.get(path).filter(|_| !is_fallback(path)).map(|document| (200, document));
    let (status, document) = match found.or_else(|| fallback(site, path).map(|document| (404, document))) {
        Some(found) => found,
        None => return Ok(Answer::Forward),
    };
    if !matches!(request.method, Method::Get | Method::Head) {
        return Err(Problem::Method("GET, HEAD"));
    }
    if status == 404 && site.told == Told::Partly {
        return Err(Problem::Starting);
    }
    Ok(ready(status, document, request, keep, now))
}

/// The 404 page for a path directly below a folder that has one.
fn fallback<'s>(site: &'s Site, path: &str) -> Option<&'s Document> {
    let folder = path.get(..=path.rfind('/')?)?;
    if folder == "/" { None } else { site.documents.get(folder) }
}

fn ready(status: u16, document: &Document, request: &Request<'_>, keep: Keep, now: SystemTime) -> Answer {
    if let Some(as_of) = document.as_of.filter(|_| status == 200) {
        return of_its_age(document, as_of, request, keep, now);
    }
    let brotli = document.brotli.as_ref().filter(|_| coding::accepts(request.field("accept-encoding"), "br"));
    let bare = document.etag.trim_start_matches("W/").trim_matches('"');
    // Two encodings are two representations: a strong tag names one of them (RFC 9110 §8.8.3.3).
    let (plain_tag, brotli_tag) = (format!("\"{bare}\""), format!("\"{bare}-br\""));
    let tag = if brotli.is_some() { &brotli_tag } else { &plain_tag };
    let known = status == 200
        && request.field("if-none-match").is_some_and(|tags| range::matches_any(tags, &[&plain_tag, &brotli_tag]));
    let body = brotli.unwrap_or(&document.body);
    let mut head = Head::new(if known { 304 } else { status }, now)
        .field("ETag", tag)
        .field("Cache-Control", if status == 404 { "no-store" } else { &document.cache })
        .maybe("Vary", document.brotli.as_ref().map(|_| "Accept-Encoding"))
        .maybe("Content-Security-Policy", document.policy.as_ref())
        // The same for everyone, whoever asks: a player on another page reads there what it plays.
        .field("Access-Control-Allow-Origin", "*")
        .maybe("Connection", (keep == Keep::Close).then_some("close"));
    if !known {
        head = head
            .field("Content-Type", &document.mime)
            .field("Content-Length", body.len())
            .maybe("Content-Encoding", brotli.map(|_| "br"));
    }
    let body = if known || request.method == Method::Head { Bytes::new() } else { body.clone() };
    Answer::Ready { head: head.end(), body, keep }
}

/// What may be otherwise soon, and how old it is: each answer is another one, so it has no tag.
fn of_its_age(document: &Document, as_of: SystemTime, request: &Request<'_>, keep: Keep, now: SystemTime) -> Answer {
    let age_s = now.duration_since(as_of).unwrap_or_default().as_secs();
    let body = match std::str::from_utf8(&document.body) {
        Ok(text) => {
            let is = if age_s <= FRESH_S { "fresh" } else { "old" };
            Bytes::from(text.replace(AGE_IS, is).replace(AGE, &age_s.to_string()))
        }
        Err(_) => document.body.clone(),
    };
    let head = Head::new(200, now)
        .field("Content-Type", &document.mime)
        .field("Content-Length", body.len())
        .field("Cache-Control", &document.cache)
        .field("Age", age_s)
        .maybe("Content-Security-Policy", document.policy.as_ref())
        .field("Access-Control-Allow-Origin", "*")
        .maybe("Connection", (keep == Keep::Close).then_some("close"))
        .end();
    let body = if request.method == Method::Head { Bytes::new() } else { body };
    Answer::Ready { head, body, keep }
}

#[cfg(test)]
mod tests;
