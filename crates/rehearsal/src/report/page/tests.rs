use std::collections::BTreeMap;

use super::*;
use crate::report::{Plan, Second, Server};

/// `N` listeners who all come within the first third and hear everything on time, as far as one can.
fn crowd(seconds: u32) -> Report {
    let listeners = 19_000_u64;
    let plan = Plan {
        target: "https://radio.example:8443/listen/demo.mp4".into(),
        format: "mp4".into(),
        listeners,
        arrival: "flash: all within 20 s".into(),
        cadence_ms: 2000,
        started_unix_s: 1_767_225_600,
        starts_unix_ms: None,
        version: "0.1.0".into(),
    };
    let mut report = Report { plan, ..Report::default() };
    let come_within = u64::from(seconds / 3).max(1);
    let mut listening = 0;
    for at_s in 0..seconds {
        // Fewer and fewer, as a crowd comes.
        let here = |second: u64| {
            let missing = 1.0 - (second as f64 / come_within as f64).min(1.0);
            (listeners as f64 * (1.0 - missing * missing)) as u64
        };
        let joined = here(u64::from(at_s) + 1) - here(u64::from(at_s));
        listening += joined;
        let mut second =
            Second { at_s, joined, listening, chunks: listening / 2, bytes: listening * 6_000, ..Second::default() };
        for share in 1..=100_u64 {
            let (wave, crowded) = (u64::from(at_s * 37 % 19), 1 + joined / 200);
            second.join.add_many(
                Duration::from_micros((900 + wave * 20) * crowded * share / (101 - share)),
                joined.div_ceil(100),
            );
            second.lateness.add_many(Duration::from_micros(1_500 * share + wave * 900), listening / 200);
        }
        second.busy_share = 0.2 + joined as f64 / 4_000.0;
        second.server = Some(Server {
            cores: 0.35 + joined as f64 / 2_500.0 + f64::from(at_s % 5) / 100.0,
            resident_bytes: 38_000_000 + listening * 900,
        });
        report.seconds.push(second);
    }
    report
}

/// The same, of which a good part went wrong.
fn trouble(seconds: u32) -> Report {
    let mut report = crowd(seconds);
    let mut outside = 0;
    for second in &mut report.seconds {
        if second.at_s > seconds / 2 && second.at_s < seconds * 2 / 3 {
            second.chunks_late = second.chunks / 3;
            second.stalled = second.listening / 5;
            second.lateness.add_many(Duration::from_millis(4_500), second.chunks_late);
        }
        second.failed = second.joined / 50;
        outside += second.failed;
        second.joined -= second.failed;
        second.listening -= outside;
        second.server = None;
    }
    report.faults = BTreeMap::from([
        ("connection reset".into(), 312),
        ("<script>alert(1)</script>".into(), 7),
        ("الرد \u{202e}503\" 'غير متوقع'".into(), 66),
    ]);
    report
}

/// All tags of a page, in order, without what they hold; checks what `<style>` and text may not hold.
fn tags(page: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(begin) = rest.find('<') {
        assert!(!rest[..begin].contains('>') || tags.last() == Some(&"style"), "{}", &rest[..begin]);
        let end = begin + rest[begin..].find('>').expect("a tag ends");
        let tag = &rest[begin + 1..end];
        assert!(!tag.contains('<'), "{tag}");
        tags.push(tag);
        rest = &rest[end + 1..];
    }
    tags
}

/// Fails unless each tag that is opened is closed in its turn, each attribute is quoted, and no id is given twice.
fn assert_well_formed(page: &str) {
    const VOID: [&str; 2] = ["meta", "input"];
    let mut open = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    let mut labels = Vec::new();
    for tag in tags(page) {
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "is closed by </{name}>");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric()) && !name.is_empty(), "{tag}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let mut values = tag.split('"');
        while let (Some(attribute), Some(value)) = (values.next(), values.next()) {
            if attribute == " id=" || attribute.ends_with(" id=") {
                assert!(ids.insert(value), "{value} is there twice");
            }
            if attribute.ends_with(" aria-labelledby=") || attribute.ends_with(" for=") {
                labels.extend(value.split(' '));
            }
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "stay open");
    for label in labels {
        assert!(ids.contains(label), "{label} is nowhere");
    }
}

#[test]
fn every_page_is_well_formed() {
    let one = |change: &dyn Fn(&mut Report)| {
        let mut report = trouble(30);
        change(&mut report);
        assert_well_formed(&report.page());
    };
    assert_well_formed(&Report::default().page());
    assert_well_formed(&crowd(1).page());
    assert_well_formed(&crowd(60).page());
    one(&|_| {});
    one(&|report| report.seconds.reverse());
    one(&|report| report.seconds.truncate(1));
    one(&|report| report.seconds[29].at_s = u32::MAX);
    one(&|report| report.seconds.iter_mut().for_each(|second| second.busy_share = f64::NAN));
    one(&|report| report.seconds.iter_mut().for_each(|second| second.busy_share = f64::MAX));
    one(&|report| {
        report
            .seconds
            .iter_mut()
            .for_each(|second| second.server = Some(Server { cores: -1.0, resident_bytes: u64::MAX }))
    });
    one(&|report| report.seconds.iter_mut().for_each(|second| second.listening = u64::MAX));
    one(&|report| report.plan.cadence_ms = u64::MAX);
    one(&|report| report.plan.started_unix_s = u64::MAX);
    one(&|report| report.faults = (0..200).map(|fault| (format!("</table>{fault}"), u64::MAX)).collect());
}

#[test]
fn what_comes_from_outside_is_text() {
    let hostile = "\"'><script src=//evil.example></script><!--<svg onload=x>&lt;\u{202e}";
    let mut report = trouble(5);
    for text in [&mut report.plan.target, &mut report.plan.format, &mut report.plan.arrival, &mut report.plan.version] {
        *text = hostile.into();
    }
    report.faults = BTreeMap::from([(hostile.into(), 1)]);
    let page = report.page();
    assert_well_formed(&page);
    assert!(!page.contains("<script") && !page.contains("<!--") && !page.contains("onload=x>"));
    let shown = page.matches("&lt;script src=//evil.example&gt;").count();
    assert_eq!(shown, 2 * 5 + 1, "four of the plan and a fault in each language, and the title");
}

#[test]
fn it_asks_nothing_of_the_network() {
    let report = crowd(60);
    let page = report.page().replace(&report.plan.target, "");
    for reference in
        ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link", "<iframe", "<object"]
    {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn both_languages_say_the_same() {
    let page = trouble(60).page();
    let (arabic, english) = page.split_once("<article class=\"en\" lang=\"en\" dir=\"ltr\">").unwrap();
    let arabic = arabic.split_once("<article class=\"ar\" lang=\"ar\" dir=\"rtl\">").unwrap().1;
    let bare =
        |part: &str| tags(part).into_iter().map(|tag| tag.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    let english = english.split_once("</main>").unwrap().0;
    assert_eq!(bare(arabic), bare(english));
    assert!(arabic.contains("الخادم لا يصمد أمام هذا الجمهور."));
    assert!(english.contains("The server does not hold this crowd."));
    let letters =
        |text: &str| text.split('<').filter_map(|part| part.split_once('>')).any(|(_, text)| text.contains("The "));
    assert!(!letters(arabic));
}

#[test]
fn a_verdict_says_what_it_rests_on() {
    let check = |report: &Report, sentences: &str| {
        let figures = report.figures();
        let article = Article { report, figures: &figures, timeline: None, language: Language::English };
        assert_eq!(article.reasons().join(" "), sentences);
    };
    check(&crowd(60), "All 19,000 got in. 100% of the sound came on time.");
    let mut nearly = crowd(60);
    nearly.seconds[59].chunks_late = 1;
    nearly.seconds[0].failed = 3;
    check(&nearly, "All but 3 of 19,000 got in. 99.99% of the sound came on time.");
    let mut silent = crowd(60);
    silent.seconds[40].stalled = 19_000;
    check(
        &silent,
        "All 19,000 got in. 100% of the sound came on time. \
         Listeners had nothing to hear for 1.86% of the time that they listened; 0.1% is the bound.",
    );
    let mut late = crowd(60);
    late.seconds[40].chunks_late = 9_500;
    check(&late, "All 19,000 got in. Only 98.14% of the sound came on time; 99.9% is the bound.");
    let mut mute = crowd(60);
    mute.seconds.iter_mut().for_each(|second| second.chunks = 0);
    check(&mute, "All 19,000 got in. Nobody heard anything.");
    check(&Report::default(), "Nobody got in.");
}

#[test]
fn a_cadence_that_changed_is_said_from_the_least_to_the_most() {
    let check = |report: &Report, cadence: &str, bound: &str| {
        let figures = report.figures();
        let article = Article { report, figures: &figures, timeline: None, language: Language::English };
        let said = [Duration::ZERO, GRACE].map(|longer| article.cadence(longer).replace('\u{a0}', " "));
        assert_eq!(said, [cadence, bound]);
    };
    let mut report = crowd(3);
    check(&report, "2 s", "3 s");
    report.seconds[1].cadence_ms = 200;
    check(&report, "200 ms", "1.2 s");
    report.seconds[2].cadence_ms = 4_000;
    check(&report, "200 ms to 4 s", "1.2 s to 5 s");
}

#[test]
fn a_generator_that_was_too_busy_is_named_before_all_else() {
    let mut busy = crowd(60);
    busy.seconds[3].busy_share = 0.97;
    let page = busy.page();
    let doubt = "The generator itself was busy for more than 90% of the time in 1 of 60 seconds, so the lateness may be its own rather than \
                 the server's. Rehearse again with more processes, or from another machine.";
    assert!(
        page.contains(&format!("<strong>This rehearsal is no proof.</strong></p><p>{doubt}</p><p>All 19,000 got in. "))
    );
    assert!(!crowd(60).page().contains(doubt));
}

#[test]
fn each_plot_is_read_aloud_and_has_its_numbers() {
    let page = crowd(60).page();
    let plots = page.matches("role=\"img\"").count();
    assert_eq!(plots, 9 * 2);
    assert_eq!(page.matches("<desc ").count(), plots);
    assert_eq!(page.matches("<details>").count(), plots);
    assert!(
        page.contains("<desc id=\"listening-en-said\">listening: from 1,852 to 19,000, the most at 19\u{a0}s. </desc>")
    );
    assert_eq!(trouble(60).page().matches("role=\"img\"").count(), 7 * 2, "without a server's needs");
}

#[test]
fn a_day_takes_no_more_room_than_ten_minutes() {
    for seconds in [600, 6_000, 86_400] {
        let mut report = trouble(600);
        for second in &mut report.seconds {
            second.at_s *= seconds / 600;
            second.server = Some(Server { cores: 1.0, resident_bytes: 1 << 30 });
        }
        let bytes = report.page().len();
        assert!(bytes < 1_000_000, "{bytes} for {seconds} s");
    }
}

/// For people who change how it looks: `cargo test -p hiwar-rehearsal -- --ignored an_example`, with `EXAMPLES` set to a folder.
#[test]
#[ignore = "writes files to look at"]
fn an_example_of_each_verdict_is_written() {
    let folder = std::path::PathBuf::from(std::env::var_os("EXAMPLES").expect("EXAMPLES is a folder"));
    let mut doubtful = trouble(3_600);
    doubtful.seconds[100].busy_share = 0.97;
    for (name, report) in [("holds", crowd(60)), ("fails", trouble(600)), ("doubtful", doubtful)] {
        std::fs::write(folder.join(name).with_extension("html"), report.page()).expect("the example is written");
    }
}
