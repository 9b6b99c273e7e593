//! `hiwar admin`: what an operator asks of a server that may be running. Reads what is in its data directory, and writes nothing there but the [wish](keys::wish) for other keys; what is to
//! change is asked of the house, at its own socket, where no crowd is in the way.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hiwar_admission::ladder::{Bitrate, Cadence};
use hiwar_admission::{Grant, Origin};
use hiwar_segment_log::LogId;
use http_body_util::Full;
use hyper::header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use tokio::net::UnixStream;

use super::progress::Line;
use super::{greet, keys};
use crate::api::{Keys, Language};
use crate::cli;
use crate::config::Config;
use crate::listening;
use crate::outgoing;

/// Where the Debian package keeps the service's configuration.
const CONFIG: &str = "/etc/hiwar/hiwar.toml";

/// Prints a new link to host with. Exit code 0: it was; 2: it cannot be made.
pub fn host_link(place: &cli::Place) -> ExitCode {
    print(
        find(place).map(|Found { origin, keys }| (greet::host_link(&origin, &keys), greet::keep_to_yourself().into())),
    )
}

/// Prints a link at which an operator watches the server. Exit code 0: it was; 2: it cannot be made.
pub fn watch_link(place: &cli::Place) -> ExitCode {
    print(
        find(place).map(|Found { origin, keys }| (greet::watch_link(&origin, &keys), greet::keep_watch_link().into())),
    )
}

/// Prints a new grant to rehearse with, and beside it how. Exit code 0: it was; 2: it cannot be made.
pub fn rehearsal_grant(args: &cli::RehearsalGrant) -> ExitCode {
    let life = Duration::from_secs(u64::from(args.minutes) * 60);
    print(issue(&args.place, args.listeners, life).map(|(origin, grant)| {
        let how = greet::how_to_rehearse(&origin, args.listeners, args.minutes);
        (grant, how)
    }))
}

/// Changes how much sound a listener is sent at once, or says how it is. Exit code 0: done; 2: it cannot be.
pub fn cadence(args: &cli::Cadence) -> ExitCode {
    let parse = |text: &str| listening::cadence(text).map(|wish| wish.map(Cadence::ms));
    wish(&args.place, "cadence_ms", args.wish.as_deref().map(|text| parse(text).ok_or("no cadence")).transpose())
}

/// Changes at which bitrate listeners are sent sound, or says how it is. Exit code 0: done; 2: it cannot be.
pub fn bitrate(args: &cli::Bitrate) -> ExitCode {
    let parse = |text: &str| listening::bitrate(text).map(|wish| wish.map(Bitrate::kbps));
    wish(&args.place, "bitrate_kbps", args.wish.as_deref().map(|text| parse(text).ok_or("no bitrate")).transpose())
}

/// Has the crowd's keys rotated at the next start. Exit code 0: they will be; 2: they cannot be.
pub fn rotate_keys(place: &cli::Place) -> ExitCode {
    say(config(place).and_then(|config| {
        let data = &config.data;
        keys::wish(data).map_err(|why| unread(data, keys::LISTEN, &why))?;
        Ok(greet::keys_will_be_rotated().into())
    }))
}

/// Where levels are ordered.
const LADDER: &str = "/api/spaces/v1/ladder";

/// Says how crowded it is, and what was ordered. Exit code 0: done; 2: it cannot be.
pub fn level(place: &cli::Place) -> ExitCode {
    say(config(place).and_then(|config| Ok(told(&operate(&config, Method::GET, LADDER, None)?))))
}

/// Orders a level, or lifts the order, and says how it is then. Exit code 0: done; 2: it cannot be.
pub fn order(which: &str, args: &cli::Order) -> ExitCode {
    let Some(level) = &args.level else { return self::level(&args.place) };
    let level = level.parse::<u32>().ok();
    say(config(&args.place).and_then(|config| {
        let body = signed(serde_json::json!({ which: level }), &args.signed);
        Ok(told(&operate(&config, Method::PUT, LADDER, Some(body))?))
    }))
}

/// Orders how many may listen to a conversation. Exit code 0: done; 2: it cannot be.
pub fn places(args: &cli::Places) -> ExitCode {
    say(config(&args.place).and_then(|config| {
        // Nothing else can be in the path: what is no id has no conversation.
        let space = LogId::parse(&args.space).map_err(|_| format!("{:?} is no id of a conversation", args.space))?;
        let places = match &*args.places {
            "off" => None,
            text => Some(text.parse::<u32>().map_err(|_| format!("{text:?} is no number of places"))?),
        };
        let body = signed(serde_json::json!({ "places": places }), &args.signed);
        let path = format!("/api/spaces/v1/spaces/{space}/places");
        Ok(told(&operate(&config, Method::PUT, &path, Some(body))?))
    }))
}

fn signed(mut body: serde_json::Value, cli::Signed { minutes, why, by }: &cli::Signed) -> serde_json::Value {
    let user = || ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    body["by"] = by.clone().or_else(user).unwrap_or_default().into();
    body["why"] = why.as_str().into();
    if let Some(minutes) = minutes {
        body["minutes"] = (*minutes).into();
    }
    body
}

/// In words, a line for each thing.
fn told(said: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let level = match said["server"]["level"].as_u64() {
        Some(level) => format!("level {level}: {}", text(&said["server"]["says"][language()])),
        None => String::from("no worker has told yet how it is"),
    };
    let mut lines = vec![level];
    let mut order = |name: &str, order: &serde_json::Value| {
        let Some(value) = order["value"].as_u64() else { return };
        let until =
            order["until"].as_str().map_or_else(|| "until it is lifted".to_owned(), |time| format!("until {time}"));
        let (at, by, why) = (text(&order["at"]), text(&order["by"]), text(&order["why"]));
        let by = if by.is_empty() { by } else { format!(" by {by}") };
        let why = if why.is_empty() { why } else { format!(": {why}") };
        lines.push(format!("{name} {value}, {until}; ordered at {at}{by}{why}"));
    };
    ["pin", "cap", "panic"].iter().for_each(|name| order(name, &said[name]));
    for (space, places) in said["places"].as_object().into_iter().flatten() {
        order(&format!("places of {space}:"), places);
    }
    lines.join("\n")
}

fn say(done: Result<String, String>) -> ExitCode {
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn wish(place: &cli::Place, name: &str, wish: Result<Option<Option<u32>>, &str>) -> ExitCode {
    say(wish.map_err(str::to_owned).and_then(|wish| turn(place, name, wish)))
}

fn turn(place: &cli::Place, name: &str, wish: Option<Option<u32>>) -> Result<String, String> {
    let config = config(place)?;
    let method = if wish.is_some() { Method::PUT } else { Method::GET };
    let body = wish.map(|wish| serde_json::json!({ name: wish }));
    let said = operate(&config, method, "/api/spaces/v1/delivery", body)?;
    Ok(said[name].as_u64().map_or_else(|| "auto".to_owned(), |wish| wish.to_string()))
}

/// Takes somebody out of a recording, and shows how far it is. Exit code 0: done; 2: the recording is as it was.
pub fn withdraw(args: &cli::Withdraw) -> ExitCode {
    say(withdrawn(args))
}

fn withdrawn(args: &cli::Withdraw) -> Result<String, String> {
    let config = config(&args.place)?;
    // Nothing else can be in the path: what is no id has no conversation.
    let space = LogId::parse(&args.space).map_err(|_| format!("{:?} is no id of a conversation", args.space))?;
    let path = format!("/api/spaces/v1/spaces/{space}/withdrawal");
    let mut said = operate(&config, Method::POST, &path, Some(serde_json::json!({ "who": args.who })))?;
    let mut line = Line::new("mixing the recording again");
    while said["state"] == "working" {
        line.show(said["percent"].as_u64().unwrap_or(0));
        std::thread::park_timeout(LOOK_EVERY);
        said = operate(&config, Method::GET, &path, None).inspect_err(|_| line.clear())?;
    }
    line.clear();
    if said["state"] != "done" {
        let people = said["people"].as_object().into_iter().flatten();
        let people = people.map(|(id, names)| {
            let names = names.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
            format!("\n  {id}  {}", names.collect::<Vec<_>>().join(", "))
        });
        let detail = said["detail"].as_str().unwrap_or("the server says no more");
        return Err(format!("{detail}{}", people.collect::<String>()));
    }
    let silenced_ms = said["silenced_ms"].as_u64().unwrap_or(0);
    let silenced = if silenced_ms == 0 {
        String::new()
    } else {
        format!("; {:.1} s of which there was no track are silent now", silenced_ms as f64 / 1000.0)
    };
    Ok(format!("{space}: the recording was made anew without them{silenced}"))
}

/// Asks the house for something that only an operator may, and gives what it says.
fn operate(
    config: &Config,
    method: Method,
    path: &str,
    body: Option<serde_json::Value>,
) -> Result<serde_json::Value, String> {
    let pass = read_keys(&config.data)?.stage_pass(SystemTime::now() + OPERATING, Grant::Operate);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "localhost")
        .header(AUTHORIZATION, format!("Bearer {pass}"))
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT_LANGUAGE, language())
        .body(Full::new(Bytes::from(body.map(|body| body.to_string()).unwrap_or_default())))
        .map_err(|why| why.to_string())?;
    let answer = ask_house(&config.data, request)?;
    let said: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    if !answer.status().is_success() {
        return Err(format!("{}: {}", answer.status(), said["detail"].as_str().unwrap_or("the server says no more")));
    }
    Ok(said)
}

/// What the house is to speak.
fn language() -> &'static str {
    terminal().code()
}

/// The language of this terminal, if it is one of ours.
pub(super) fn terminal() -> Language {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|set| !set.is_empty()));
    if set.is_some_and(|set| set.starts_with("ar")) { Language::Arabic } else { Language::English }
}

/// How often the house is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Asks the house of this machine that runs on a data directory, at its own socket, and waits ten seconds at the most. Not to be called by a task of a runtime.
///
/// # Errors
/// It is not there, or does not answer; in words for an operator.
fn ask_house(data: &Path, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|why| why.to_string())?;
    runtime.block_on(async {
        let asked = tokio::time::timeout(HOUSE_WAIT, async {
            let socket = UnixStream::connect(data.join("run/api.sock")).await;
            let socket = socket.map_err(|why| format!("no server runs on {}: {why}", data.display()))?;
            outgoing::ask(socket, "the server", request, HOUSE_BODY_BYTES_MAX).await
        });
        asked.await.unwrap_or_else(|_| Err(format!("the server does not answer within {} s", HOUSE_WAIT.as_secs())))
    })
}

/// A house that is being restarted is there again within a second.
const HOUSE_WAIT: Duration = Duration::from_secs(10);
/// More than any answer to an operator's question.
const HOUSE_BODY_BYTES_MAX: usize = 256 * 1024;

/// How long the pass is good with which this is asked.
const OPERATING: Duration = Duration::from_secs(60);

/// A new grant to rehearse a server of this machine, and the origin that it is for.
///
/// # Errors
/// There is no such server, or its keys cannot be read, or it does not know its origin; in words for an operator.
pub(super) fn issue(place: &cli::Place, listeners: u32, life: Duration) -> Result<(Origin, String), String> {
    let Found { origin, keys } = find(place)?;
    // Links are made of whatever the operator said. A grant is compared, so it needs a true origin.
    let origin = Origin::parse(&origin).ok_or_else(|| {
        format!(
            "this server is at {origin:?}, which is no origin of at most {} bytes, such as https://talk.example: set host, or public_origin",
            Origin::BYTES_MAX
        )
    })?;
    let grant = keys.rehearsal_grant(SystemTime::now() + life, origin.clone(), listeners);
    Ok((origin, grant))
}

/// The first process of a server of this machine, if one has run.
pub(super) fn supervisor_of(place: &cli::Place) -> Option<u32> {
    crate::supervise::process_of(&config(place).ok()?.data)
}

/// What was asked for on standard output, alone, so that it can be piped; on standard error what a person should know of it.
fn print(made: Result<(String, String), String>) -> ExitCode {
    match made {
        Ok((what, about)) => {
            println!("{what}");
            eprintln!("{about}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// A server of this machine.
struct Found {
    /// Of the public side.
    origin: String,
    keys: Keys,
}

pub(super) fn config(place: &cli::Place) -> Result<Config, String> {
    let packaged = || Path::new(CONFIG).exists().then(|| CONFIG.into());
    let config = place.config.clone().or_else(|| if place.data.is_none() { packaged() } else { None });
    let serve = cli::Serve { config, data: place.data.clone(), ..cli::Serve::default() };
    Config::resolve_beside(&serve).map_err(|why| why.to_string())
}

fn find(place: &cli::Place) -> Result<Found, String> {
    let config = config(place)?;
    let keys = read_keys(&config.data)?;
    // The server itself knows best: options of its command line are in no file.
    let origin = crate::supervise::origin_of(&config.data).unwrap_or_else(|| config.public_origin());
    Ok(Found { origin, keys })
}

/// Never makes one: it would belong to whoever asked, and the service could not read it.
fn read_keys(data: &Path) -> Result<Keys, String> {
    let listen = keys::load_pair(data).map_err(|why| unread(data, keys::LISTEN, &why))?;
    let stage = keys::load(data, keys::STAGE).map_err(|why| unread(data, keys::STAGE, &why))?;
    Ok(Keys::new(&listen, stage))
}

/// Why there is no key of that name, and what to do.
fn unread(data: &Path, name: &str, why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::NotFound if fs::exists(data).unwrap_or(false) => {
            format!("{} has no keys yet: start the server once", data.display())
        }
        io::ErrorKind::NotFound => format!("there is no {}: start the server once, or give --data", data.display()),
        io::ErrorKind::PermissionDenied => {
            format!("may not use the keys in {}: ask as root, or as the user of the service", data.display())
        }
        _ => format!("cannot read {name} in {}: {why}", data.display()),
    }
}
