//! The page of a launch that was rehearsed: whether the door kept its word, who came, waited and was let in, and whether that was fair.

use std::fmt::{self, Write};
use std::time::Duration;

use super::axis::Scale;
use super::plot::{Ink, Limit, Plot, Series};
use super::timeline::Timeline;
use super::words::{Language, Outside, Unit, Words, decimal, whole, words};
use super::write_shell;
use crate::launch::moments::{Moment, Moments};
use crate::launch::{Figures, Kind, Seen};
use crate::report::{Second, Verdict};

/// The whole page.
pub(in crate::report) fn page(seen: &Seen, moments: &Moments, target: &str) -> String {
    let (mut out, figures) = (String::new(), seen.figures());
    let seconds: Vec<Second> = (0..seen.until.as_secs().max(1))
        .map(|at| Second { at_s: u32::try_from(at).unwrap_or(u32::MAX), ..Second::default() })
        .collect();
    let timeline = Timeline::of(&seconds).expect("there is a second");
    let plots = plots(seen, moments, &timeline);
    let article = |out: &mut String, language: Language| {
        let (tag, direction) = (language.tag(), language.direction());
        writeln!(out, "<article class=\"{tag}\" lang=\"{tag}\" dir=\"{direction}\">")?;
        let heading = words("هل يفي الباب بوعده؟", "Will the door keep its word?");
        writeln!(out, "<h1>{}</h1>", heading.of(language))?;
        write_verdict(out, &figures, moments, language)?;
        writeln!(out, "<p><bdi dir=\"ltr\">{}</bdi></p>", Outside(target))?;
        write_figures(out, seen, &figures, language)?;
        write_fairness(out, seen, language)?;
        writeln!(out, "<section><h2>{}</h2>", words("ثانية بثانية", "Second by second").of(language))?;
        for plot in &plots {
            plot.write(out, &timeline, language)?;
        }
        writeln!(out, "</section></article>")
    };
    write_shell(&mut out, target, article).expect("a String takes all that is written to it");
    out
}

/// What did not come to its bound, for people.
const UNMET: [(&str, Words); 9] = [
    ("cap_exceeded", words("دخل أكثر من عدد الأماكن.", "More were inside than there are places.")),
    (
        "promise_kept",
        words("لم يدخل كثيرون في الوقت الذي قيل لهم.", "Too many were not let in when they had been told."),
    ),
    ("requests_per_visitor_p50", words("سأل الناس أكثر مما ينبغي.", "People had to ask too often.")),
    ("retry_advantage", words("من ألحّ دخل قبل غيره.", "Whoever asked again and again was let in sooner.")),
    ("prefix_share_error", words("نالت شبكة واحدة غير حصتها.", "One network did not get its share.")),
    ("utilisation", words("بقيت أماكن خالية وهناك من ينتظر.", "Places stood empty while people waited.")),
    ("failed", words("لم يُجَب كثيرون.", "Too many had no answer.")),
    ("cut", words("انقطع الصوت عن بعضهم ولم يعودوا.", "Some were cut off and did not come back.")),
    ("untrue", words("قيل لبعضهم ما لا يمكن أن يصح.", "Some were told what cannot be true.")),
];

/// What a launch says nothing of, and why, for people.
const UNJUDGED: [(&str, Words); 5] = [
    (
        "crowd_late_ms_max",
        words(
            "تأخر الجمهور نفسه أكثر من ثانية، فما قيس هو جهازه لا الخادم.",
            "The crowd itself was more than a second late: what was measured is its machine, and not the server.",
        ),
    ),
    ("promise_kept", words("لم يحن بعدُ وقت قيل لأحد.", "No time that anybody was told has come yet.")),
    (
        "utilisation",
        words(
            "لم ينتظر أحد بعد القرعة، أو انتهت التجربة قبلها.",
            "Nobody waited after the draw, or the rehearsal ended before it.",
        ),
    ),
    (
        "retry_advantage",
        words(
            "البرامج الملحّة أقل من أن يُعرف هل ينفعها الإلحاح.",
            "Too few bad programs had to wait to tell whether asking often gains them anything.",
        ),
    ),
    (
        "prefix_share_error",
        words(
            "لم ينتظر من الشبكة الواحدة أحد، فلا تُعرف حصتها.",
            "Nobody of the one network had to wait, so that its share is not known.",
        ),
    ),
];

fn write_verdict(out: &mut String, figures: &Figures, moments: &Moments, language: Language) -> fmt::Result {
    let (verdict, unmet, unjudged) = (figures.verdict(moments), figures.unmet(moments), figures.unjudged(moments));
    let (sign, sentence) = match verdict {
        Verdict::Holds => ("✓", words("يفي الباب بوعده لهذا الجمهور.", "The door keeps its word to this crowd.")),
        Verdict::Fails => {
            ("✗", words("لا يفي الباب بوعده لهذا الجمهور.", "The door does not keep its word to this crowd."))
        }
        Verdict::Doubtful => ("?", words("لا تصلح هذه التجربة دليلًا.", "This rehearsal is no proof.")),
    };
    write!(out, "<div class=\"verdict {}\"><p><span aria-hidden=\"true\">{sign}</span> ", verdict.name())?;
    write!(out, "<strong>{}</strong></p><p>", sentence.of(language))?;
    for (name, why) in UNMET.iter().filter(|(name, _)| unmet.contains(name)) {
        write!(out, "<span id=\"{name}-{}\">{}</span> ", language.tag(), why.of(language))?;
    }
    writeln!(out, "</p></div>")?;
    if unjudged.is_empty() {
        return Ok(());
    }
    write!(out, "<p>{}</p><ul>", words("ما لم يُحكم عليه:", "What was not judged:").of(language))?;
    for (name, why) in UNJUDGED.iter().filter(|(name, _)| unjudged.contains(name)) {
        write!(out, "<li id=\"unjudged-{name}-{}\">{}</li>", language.tag(), why.of(language))?;
    }
    writeln!(out, "</ul>")
}

fn write_figures(out: &mut String, seen: &Seen, figures: &Figures, language: Language) -> fmt::Result {
    let percent = |part: f64| format!("{}%", (part * 1_000.0).floor() / 10.0);
    let facts = [
        (words("الأماكن", "Places"), whole(seen.cap.into())),
        (words("أكثر من كانوا في الداخل معًا", "Inside at once, at most"), whole(seen.inside_max().into())),
        (words("دخلوا", "Let in"), whole(figures.let_in.into())),
        (words("من قيل لهم وقت وقد حان", "Told a time that has passed"), whole(figures.promised as u64)),
        (words("منهم من دخل في وقته", "Of those let in at it"), percent(figures.promise_kept)),
        (words("طلبات نصف الناس، على الأكثر", "Half asked at most"), whole(figures.requests_per_visitor_p50.into())),
        (words("المستخدم من الأماكن وهناك من ينتظر", "Places used while anybody waited"), percent(figures.utilisation)),
        (words("أجوبة لم تصل أو رُفضت", "No answer, or refused"), whole(figures.failed)),
        (words("انقطع الصوت عنهم", "Cut off"), whole(figures.cut.into())),
    ];
    writeln!(out, "<section class=\"figures\"><h2>{}</h2><div><dl>", words("الخلاصة", "Figures").of(language))?;
    for (name, value) in facts {
        write!(out, "<div><dt>{}</dt><dd>{value}</dd></div>", name.of(language))?;
    }
    writeln!(out, "</dl></div></section>")
}

/// Of people from each kind of network: how many had to wait, and how many of them have a place or a time for one.
fn write_fairness(out: &mut String, seen: &Seen, language: Language) -> fmt::Result {
    let heading = words("الإنصاف بين الشبكات", "Fairness between networks");
    let heads = [
        words("من", "Who"),
        words("انتظروا", "Had to wait"),
        words("لهم مكان أو وقت", "Have a place or a time"),
        words("النسبة", "Share"),
    ];
    writeln!(out, "<section><h2>{}</h2><table><thead><tr>", heading.of(language))?;
    for head in heads {
        write!(out, "<th scope=\"col\">{}</th>", head.of(language))?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for (kind, name) in [
        (Kind::Alone, words("لكل منهم عنوان وحده", "Each from an address of their own")),
        (Kind::Neighbour, words("من شبكة صغيرة واحدة ‎(/24)‎", "All from one small network (/24)")),
        (Kind::Carried, words("خلف عنوان واحد لمشغّل", "All behind one carrier's address")),
        (Kind::Bot, words("برامج رديئة تسأل مرارًا", "Bad programs that ask again and again")),
    ] {
        let (waited, have) = seen.fairness(kind);
        let share = f64::from(have) / f64::from(waited.max(1)) * 100.0;
        let (waited, have) = (whole(waited.into()), whole(have.into()));
        let name = name.of(language);
        writeln!(
            out,
            "<tr><th scope=\"row\">{name}</th><td>{waited}</td><td>{have}</td><td>{}%</td></tr>",
            decimal(share)
        )?;
    }
    writeln!(out, "</tbody></table></section>")
}

/// Who waits, by second: `came` but neither in nor given up.
fn waiting(seen: &Seen) -> Vec<u64> {
    let seconds = seen.until.as_secs() as usize;
    let mut steps = vec![0i64; seconds + 2];
    let place = |at: Duration| (at.as_secs() as usize).min(seconds + 1);
    for (visit, lived) in seen.all().filter(|(_, lived)| lived.requests > 0) {
        let over = lived.entered.unwrap_or(visit.comes.saturating_add(visit.patience));
        steps[place(visit.comes)] += 1;
        steps[place(over)] -= 1;
    }
    sums(&steps)
}

/// Who is inside, by second.
fn inside(seen: &Seen) -> Vec<u64> {
    let seconds = seen.until.as_secs() as usize;
    let mut steps = vec![0i64; seconds + 2];
    for &(at, comes) in &seen.steps {
        steps[(at.as_secs() as usize).min(seconds + 1)] += if comes { 1 } else { -1 };
    }
    sums(&steps)
}

fn sums(steps: &[i64]) -> Vec<u64> {
    let mut sum = 0;
    steps
        .iter()
        .map(|step| {
            sum += step;
            u64::try_from(sum).unwrap_or_default()
        })
        .collect()
}

fn plots(seen: &Seen, moments: &Moments, timeline: &Timeline) -> Vec<Plot> {
    // Of several seconds that are put together the highest.
    let spanned = |of: &dyn Fn(usize) -> Option<f64>| -> Vec<Option<f64>> {
        let step = timeline.step() as usize;
        let span = |at: usize| (at * step..(at + 1) * step).filter_map(of).reduce(f64::max);
        (0..timeline.spans().len()).map(span).collect()
    };
    let counted = |name, ink, of: fn(&Moment) -> u64| {
        let values = spanned(&|at| Some(moments.get(&u32::try_from(at).ok()?).map_or(0, of) as f64));
        Series::new(name, ink, values.into_iter())
    };
    let listed = |name, ink, list: &[u64]| {
        Series::new(name, ink, spanned(&|at| list.get(at).map(|&count| count as f64)).into_iter())
    };
    // Of those who were told a time and were let in: by when they came in.
    let mut waits = vec![(0u32, Duration::ZERO, Duration::ZERO); seen.until.as_secs() as usize + 1];
    for (_, lived) in seen.all() {
        if let (Some((when, told)), Some(entered)) = (lived.promised, lived.entered)
            && let Some(wait) = waits.get_mut(entered.as_secs() as usize)
        {
            *wait = (wait.0 + 1, wait.1 + told, wait.2 + entered.saturating_sub(when));
        }
    }
    let mean = |name, ink, of: fn(&(u32, Duration, Duration)) -> Duration| {
        let values = spanned(&|at| {
            let wait = waits.get(at).filter(|wait| wait.0 > 0)?;
            Some(of(wait).as_micros() as f64 / f64::from(wait.0))
        });
        Series::new(name, ink, values.into_iter())
    };
    vec![
        Plot {
            id: "arrivals",
            title: words("القادمون في كل ثانية", "Arrivals per second"),
            note: words(
                "من جاؤوا أول مرة، وكل ما سُئل الباب.",
                "Who came for the first time, and how often the door was asked in all.",
            ),
            unit: Unit::Count,
            scale: Scale::Linear,
            series: vec![
                counted(words("جاؤوا", "came"), Ink::Area, |moment| moment.arrived),
                counted(words("طلبات", "requests"), Ink::Thin, |moment| moment.requests),
            ],
            limit: None,
        },
        Plot {
            id: "waiting",
            title: words("المنتظرون", "Waiting"),
            note: words(
                "من جاؤوا ولم يدخلوا بعد ولم ينصرفوا.",
                "Who has come, and is neither inside nor has given up.",
            ),
            unit: Unit::Count,
            scale: Scale::Linear,
            series: vec![listed(words("ينتظرون", "waiting"), Ink::Area, &waiting(seen))],
            limit: None,
        },
        Plot {
            id: "inside",
            title: words("في الداخل", "Inside"),
            note: words("من يستمعون، وعدد الأماكن.", "Who listens, and how many places there are."),
            unit: Unit::Count,
            scale: Scale::Linear,
            series: vec![listed(words("يستمعون", "listening"), Ink::Area, &inside(seen))],
            limit: Some(Limit::Line(f64::from(seen.cap), words("الأماكن:", "places:"))),
        },
        Plot {
            id: "admitted",
            title: words("الداخلون في كل ثانية", "Let in per second"),
            note: words("من دخلوا، ومن قيل لهم وقت.", "Who was let in, and who was told a time."),
            unit: Unit::Count,
            scale: Scale::Linear,
            series: vec![
                counted(words("دخلوا", "let in"), Ink::Area, |moment| moment.entered),
                counted(words("قيل لهم وقت", "told a time"), Ink::Thin, |moment| moment.promised),
            ],
            limit: None,
        },
        Plot {
            id: "promised",
            title: words("الانتظار الموعود والفعلي", "Wait as promised and as it was"),
            note: words(
                "متوسط ما قيل لمن دخلوا في تلك الثانية، ومتوسط ما انتظروه. كلما تطابق الخطان صدق الوعد.",
                "Of those let in in that second: what they were told first, and how long they waited, in the mean. The closer the lines, the better the promise.",
            ),
            unit: Unit::Time,
            scale: Scale::Linear,
            series: vec![
                mean(words("الموعود", "promised"), Ink::Broad, |wait| wait.1),
                mean(words("الفعلي", "actual"), Ink::Thin, |wait| wait.2),
            ],
            limit: None,
        },
        Plot {
            id: "level",
            title: words("درجة الازدحام", "How crowded"),
            note: words(
                "ما قاله الخادم عن نفسه: ‏0 يدخل كل قادم فورًا، و1 خلال دقائق، ومن 2 إلى 4 يصل الصوت أقل كلفة، و5 لا يجد كل قادم مكانًا.",
                "What the server said of itself: 0 whoever comes is let in at once, 1 within minutes, 2 to 4 sound comes at less cost, 5 not everybody finds a place.",
            ),
            unit: Unit::Count,
            scale: Scale::Linear,
            series: vec![Series::new(
                words("الدرجة", "level"),
                Ink::Area,
                spanned(&|at| moments.get(&u32::try_from(at).ok()?)?.level.map(f64::from)).into_iter(),
            )],
            limit: None,
        },
        Plot {
            id: "trouble",
            title: words("ما لم يكن كما ينبغي", "What was not as it should be"),
            note: words(
                "انقطعوا، أو لم يُجابوا، أو قيل لهم ما لا يصح.",
                "Cut off, not answered, or told what cannot be true.",
            ),
            unit: Unit::Count,
            scale: Scale::Linear,
            series: vec![
                counted(words("انقطعوا", "cut off"), Ink::Bars, |moment| moment.cut),
                counted(words("بلا جواب", "unanswered"), Ink::Thin, |moment| moment.unanswered),
                counted(words("غير صحيح", "untrue"), Ink::Broad, |moment| moment.untrue),
            ],
            limit: None,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Launch;
    use crate::world::{House, play};

    fn seen() -> (Seen, Moments) {
        let launch = Launch { people: 12_000, bots: 40, carried: 40, ..Launch::default() };
        let house = House { cap: 3_800, ..House::default() };
        let mut seen = play(launch.visits(), house, Duration::from_secs(200), 1).seen;
        seen.steps = seen.lived.iter().filter_map(|lived| Some((lived.entered?, true))).collect();
        seen.steps.extend(seen.lived.iter().filter_map(|lived| Some((lived.left?, false))));
        (seen, Moments::from([(3, Moment { arrived: 77, requests: 99, ..Moment::default() })]))
    }

    #[test]
    fn the_page_says_in_both_languages_whether_the_door_keeps_its_word_and_draws_what_it_was() {
        let (mut seen, moments) = seen();
        let good = page(&seen, &moments, "http://127.0.0.1:1/listen/<b>.mp4");
        for text in ["The door keeps its word to this crowd.", "يفي الباب بوعده لهذا الجمهور.", "places: 3,800"]
        {
            assert!(good.contains(text), "{text}");
        }
        assert!(!good.contains("<b>"), "what is from outside is no markup");
        for id in ["arrivals", "waiting", "inside", "admitted", "promised", "level", "trouble"] {
            assert!(good.contains(&format!("id=\"{id}-ar\"")) && good.contains(&format!("id=\"{id}-en\"")), "{id}");
        }
        seen.cap = 3_500;
        let bad = page(&seen, &moments, "");
        assert!(bad.contains("The door does not keep its word") && bad.contains("id=\"cap_exceeded-en\""));
    }

    #[test]
    fn every_bound_that_is_missed_has_words() {
        let (seen, _) = seen();
        let mut figures = seen.figures();
        (figures.cap_exceeded, figures.promise_kept, figures.requests_per_visitor_p50) = (1, 0.9, 4);
        (figures.retry_advantage, figures.prefix_share_error, figures.prefix_share_chance) = (0.4, 1.0, 0.0);
        (figures.utilisation, figures.bots_waited) = (0.5, 200);
        let untrue = Moments::from([(0, Moment { untrue: 1, ..Moment::default() })]);
        (figures.cut, figures.failed, figures.requests) = (1, 2, 100);
        let unmet = figures.unmet(&untrue);
        assert_eq!(unmet.len(), UNMET.len());
        assert!(UNMET.iter().all(|(name, _)| unmet.contains(name)));
        assert_eq!(figures.verdict(&untrue), Verdict::Fails);
    }

    #[test]
    fn what_nobody_can_tell_is_not_said_to_hold() {
        let (seen, moments) = seen();
        let figures = seen.figures();
        assert_eq!((figures.unmet(&moments), figures.verdict(&moments)), (vec![], Verdict::Holds));
        // It ended before the draw; the crowd was late, whatever else was seen; too few of each came.
        let short = Figures { promised: 0, utilisation_seconds: 0, ..figures };
        let late = Moments::from([(0, Moment { late_ms: 1_001, untrue: 1, ..Moment::default() })]);
        assert_eq!([short.verdict(&moments), figures.verdict(&late)], [Verdict::Doubtful; 2]);
        assert_eq!(Figures { cut: 1, ..short }.verdict(&moments), Verdict::Fails, "what was seen was seen");
        let few = Figures { bots_waited: 0, prefix_share: 0.0, ..short };
        let unjudged = few.unjudged(&late);
        assert_eq!(unjudged.len(), UNJUDGED.len());
        let mut out = String::new();
        write_verdict(&mut out, &few, &late, Language::English).expect("text");
        assert!(out.contains("This rehearsal is no proof."), "{out}");
        assert!(UNJUDGED.iter().all(|(name, _)| out.contains(&format!("unjudged-{name}-en"))), "{out}");
    }

    #[test]
    fn who_waits_and_who_is_inside_add_up() {
        let (seen, _) = seen();
        let (waiting, inside) = (waiting(&seen), inside(&seen));
        assert!(inside.iter().all(|&count| count <= 3_800) && inside.iter().any(|&count| count > 3_600));
        assert!(waiting[100] > 7_000, "{}", waiting[100]);
    }
}
