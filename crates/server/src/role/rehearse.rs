//! `hiwar rehearse`: a crowd at a server that has granted it, and nowhere else.

pub mod crowd;
mod grant;

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use hiwar_admission::Origin;
use hiwar_rehearsal::live::listen::{self, Target};
use hiwar_rehearsal::report::{Report, Verdict};

use super::admin;
use crate::cli;

/// Besides the time of the crowd: between the question and the first connection, and for clocks that differ.
const SPARE: Duration = Duration::from_secs(60);

/// Has a crowd of listeners come. The last line of standard output is the result, as JSON. Exit code 0: the server holds this crowd; 1: it does not, or nobody can
/// tell; 2: there was no rehearsal.
pub fn listen(args: &cli::RehearseListen) -> ExitCode {
    match rehearse(args) {
        Ok(report) => {
            println!("{}", report.summary());
            match report.verdict() {
                Verdict::Holds => ExitCode::SUCCESS,
                Verdict::Fails | Verdict::Doubtful => ExitCode::FAILURE,
            }
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn rehearse(args: &cli::RehearseListen) -> Result<Report, String> {
    let target = Target::parse(&args.url).map_err(|why| why.to_string())?;
    let form = || format!("{} is no address of a server", target.origin());
    let origin = Origin::parse(&target.origin()).ok_or_else(form)?;
    let crowd = &args.crowd;
    let lasts = crowd.lasts() + SPARE;
    let mut crowd = crowd.clone();
    let listeners = u32::try_from(crowd.listeners).unwrap_or(u32::MAX);
    let asked = Asked { grant: args.grant.as_deref(), place: &args.place, listeners, lasts };
    if asked.grant.is_none() {
        crowd.watch = crowd.watch.or_else(|| admin::supervisor_of(&args.place));
    }
    let checked = asked.granted(&origin, target.address.ip(), crowd.trust.as_deref())?;
    eprintln!("  {} has granted it, at {}", checked.origin(), checked.at());
    // Where the proof came from, and nowhere else.
    let report =
        listen::run(&target.at(checked.at()).wearing(checked.badge()), &crowd).map_err(|why| why.to_string())?;
    eprintln!("  {}", in_a_sentence(report.verdict()));
    if let Some(folder) = &crowd.report {
        eprintln!("  {}", folder.join("report.html").display());
    }
    Ok(report)
}

/// What is to be granted.
struct Asked<'a> {
    /// What was given; `None`: it is this machine's own server.
    grant: Option<&'a str>,
    place: &'a cli::Place,
    listeners: u32,
    lasts: Duration,
}

impl Asked<'_> {
    /// The server's proof that it granted that.
    fn granted(&self, origin: &Origin, at: IpAddr, trust: Option<&Path>) -> Result<grant::Checked, String> {
        let &Self { place, listeners, lasts, .. } = self;
        let token = match self.grant {
            Some(token) => token.to_owned(),
            None => {
                let (own, token) = admin::issue(place, listeners, lasts + SPARE)
                    .map_err(|why| format!("{why}\nFor a server that is not this machine's, give --grant: {HOW}"))?;
                if own != *origin {
                    return Err(format!(
                        "this machine's own server is at {own}. To rehearse {origin}, give --grant: {HOW}"
                    ));
                }
                token
            }
        };
        let now = SystemTime::now();
        let checked = grant::check(origin, at, &token, trust, now)?;
        if listeners > checked.listeners_max() {
            return Err(format!("the grant is for {} listeners at the most", checked.listeners_max()));
        }
        if now + lasts > checked.expires() {
            let left = checked.expires().duration_since(now).unwrap_or_default().as_secs();
            return Err(format!("the grant ends in {left} s, before the rehearsal would"));
        }
        Ok(checked)
    }
}

fn in_a_sentence(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "This server holds this crowd.",
        Verdict::Fails => "This server does not hold this crowd.",
        Verdict::Doubtful => {
            "Nobody can tell: whoever played the crowd was too busy itself. Give it more cores, or another machine."
        }
    }
}

/// How to come by a grant.
const HOW: &str = "whoever runs the server makes one with `hiwar admin rehearsal-grant`";
