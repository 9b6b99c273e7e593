//! `hiwar rehearse crowd`: a launch at the door of a server that has granted it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hiwar_admission::Origin;
use hiwar_rehearsal::launch::moments::{Moments, csv};
use hiwar_rehearsal::launch::{Addresses, Launch, Seen};
use hiwar_rehearsal::live::door::crowd::{self, Target};
use hiwar_rehearsal::report::{Verdict, launch_page};
use serde_json::{Value, json};

use super::{Asked, SPARE};
use crate::cli;

/// One in so many is a badly written program, and one in so many comes from behind one address, unless it is said otherwise.
const FEW: u32 = 300;
/// How many of one thread listen: see `hiwar rehearse listen`.
const THREAD_LISTENERS_MAX: u32 = 18_000;

/// Has a crowd come to the door. The last line of standard output is the result, as JSON. Exit code 0: the door kept its word; 1: it did not, or nobody can tell; 2: there was no rehearsal.
pub fn crowd(args: &cli::RehearseCrowd) -> ExitCode {
    match rehearse(args) {
        Ok((result, is_good)) => {
            println!("{result}");
            if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn rehearse(args: &cli::RehearseCrowd) -> Result<(Value, bool), String> {
    let target = Target::parse(&args.url).map_err(|why| why.to_string())?;
    let origin = Origin::parse(&target.origin()).ok_or_else(|| format!("{} is no address of a server", args.url))?;
    let (bots, carried) = (args.bots.unwrap_or(args.people / FEW), args.carried.unwrap_or(args.people / FEW));
    let launch = Launch {
        people: args.people,
        within: Duration::from_secs(args.within),
        bots,
        carried,
        median: Duration::from_secs(60 * args.stay_minutes),
        addresses: Addresses::Loopback,
        seed: args.seed,
        ..Launch::default()
    };
    let neighbours = (f64::from(args.people) * launch.neighbours) as u32;
    if neighbours.saturating_add(bots).saturating_add(carried) > args.people {
        return Err(
            "so many --bots and --carried are more than --people, of whom three in ten are of one network".into()
        );
    }
    let until = Duration::from_secs(args.seconds);
    // More than these never listen at a time, whatever the server does: each person listens once.
    let asked =
        Asked { grant: args.grant.as_deref(), place: &args.place, listeners: args.people, lasts: until + SPARE };
    let checked = asked.granted(&origin, target.address().ip(), None)?;
    if let Some(folder) = &args.report {
        // Before the crowd: nobody wants to learn after an hour that it cannot be kept.
        std::fs::create_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    }
    eprintln!("  {} has granted it, at {}", checked.origin(), checked.at());
    let threads = usize::from(args.threads).max(args.places.div_ceil(THREAD_LISTENERS_MAX) as usize);
    let options = crowd::Options { threads, returns: true, looks: true };
    let ran = crowd::run(&target.wearing(checked.badge()), launch.visits(), args.places, until, options);
    let (seen, moments) = ran.map_err(|why| why.to_string())?;
    let figures = seen.figures();
    let (verdict, unmet, unjudged) = (figures.verdict(&moments), figures.unmet(&moments), figures.unjudged(&moments));
    let mut result = serde_json::to_value(figures).map_err(|why| why.to_string())?;
    result["people"] = json!(args.people);
    result["places"] = json!(args.places);
    result["verdict"] = json!(verdict.name());
    result["unmet"] = json!(unmet);
    result["unjudged"] = json!(unjudged);
    result["crowd_late_ms_max"] = json!(moments.values().map(|moment| moment.late_ms).max());
    match verdict {
        Verdict::Holds => eprintln!("  The door keeps its word to this crowd."),
        Verdict::Fails => eprintln!("  The door does not keep its word to this crowd: {}", unmet.join(", ")),
        Verdict::Doubtful => eprintln!("  This rehearsal is no proof of whether the door keeps its word."),
    }
    if !unjudged.is_empty() {
        eprintln!(
            "  Not judged, for too few came, it was too short, or the crowd itself was late: {}",
            unjudged.join(", ")
        );
    }
    if let Some(folder) = &args.report {
        match keep(folder, &result, &seen, &moments, &args.url) {
            Ok(()) => eprintln!("  {}", folder.join("report.html").display()),
            // What was seen is told all the same.
            Err(why) => eprintln!("  the report cannot be kept: {why}"),
        }
    }
    Ok((result, verdict == Verdict::Holds))
}

fn keep(folder: &Path, result: &Value, seen: &Seen, moments: &Moments, url: &str) -> std::io::Result<()> {
    std::fs::write(folder.join("report.json"), format!("{result}\n"))?;
    std::fs::write(folder.join("visits.csv"), seen.raw())?;
    std::fs::write(folder.join("seconds.csv"), csv(moments))?;
    std::fs::write(folder.join("report.html"), launch_page(seen, moments, url))
}
