//! The page of a report: one HTML file that asks nothing of the network and runs nothing.
//!
//! It holds two articles, one in each language; two radio buttons and the style sheet choose between them, so that a printed or mailed copy works as well. All text
//! that is not ours goes through [`Outside`].

mod axis;
pub(super) mod launch;
mod plot;
mod plots;
mod timeline;
mod words;

use std::fmt::{self, Write};
use std::time::Duration;

use self::timeline::Timeline;
use self::words::{Language, Outside, Unit, Words, words};
use super::{BUSY_SHARE_MAX, Figures, GRACE, Report, Verdict, WRONG_SHARE_MAX};

/// Faults that are listed: more kinds than a program knows; what comes on top is added up.
const FAULTS_MAX: usize = 50;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut out = String::new();
    write_page(&mut out, report).expect("a String takes all that is written to it");
    out
}

fn write_page(out: &mut String, report: &Report) -> fmt::Result {
    let timeline = Timeline::of(&report.seconds);
    let figures = report.figures();
    write_shell(out, &report.plan.target, |out, language| {
        Article { report, figures: &figures, timeline: timeline.as_ref(), language }.write(out)
    })
}

/// A page with an article in each language.
fn write_shell(out: &mut String, target: &str, article: impl Fn(&mut String, Language) -> fmt::Result) -> fmt::Result {
    writeln!(out, "<!doctype html>\n<html lang=\"ar\" dir=\"rtl\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    // Should markup ever get through, it loads nothing, runs nothing and leads nowhere.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    writeln!(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">")?;
    writeln!(out, "<title>تجربة جمهور · Rehearsal · {}</title>", Outside(target))?;
    writeln!(out, "<style>\n{}</style>\n</head>\n<body>", include_str!("page/style.css"))?;
    writeln!(out, "<input type=\"radio\" name=\"language\" id=\"ar\" checked><label for=\"ar\">العربية</label>")?;
    writeln!(out, "<input type=\"radio\" name=\"language\" id=\"en\"><label for=\"en\" lang=\"en\">English</label>")?;
    writeln!(out, "<main>")?;
    for language in [Language::Arabic, Language::English] {
        article(out, language)?;
    }
    writeln!(out, "</main>\n</body>\n</html>")
}

/// The report in one language.
struct Article<'a> {
    report: &'a Report,
    figures: &'a Figures,
    /// `None` if there are no seconds.
    timeline: Option<&'a Timeline>,
    language: Language,
}

impl Article<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let (tag, direction) = (self.language.tag(), self.language.direction());
        writeln!(out, "<article class=\"{tag}\" lang=\"{tag}\" dir=\"{direction}\">")?;
        writeln!(out, "<h1>{}</h1>", self.say(words("هل يصمد الخادم؟", "Will the server hold?")))?;
        self.write_verdict(out)?;
        self.write_plan(out)?;
        self.write_figures(out)?;
        self.write_plots(out)?;
        self.write_faults(out)?;
        self.write_foot(out)?;
        writeln!(out, "</article>")
    }

    fn say(&self, words: Words) -> &'static str {
        words.of(self.language)
    }

    fn write_verdict(&self, out: &mut String) -> fmt::Result {
        let verdict = self.report.verdict();
        let (sign, sentence) = match verdict {
            Verdict::Holds => ("✓", words("الخادم يصمد أمام هذا الجمهور.", "The server holds this crowd.")),
            Verdict::Fails => ("✗", words("الخادم لا يصمد أمام هذا الجمهور.", "The server does not hold this crowd.")),
            Verdict::Doubtful => ("?", words("لا تصلح هذه التجربة دليلًا.", "This rehearsal is no proof.")),
        };
        write!(out, "<div class=\"verdict {}\"><p><span aria-hidden=\"true\">{sign}</span> ", verdict.name())?;
        write!(out, "<strong>{}</strong></p>", self.say(sentence))?;
        if verdict == Verdict::Doubtful {
            write!(out, "<p>{}</p>", self.doubt())?;
        }
        writeln!(out, "<p>{}</p></div>", self.reasons().join(" "))
    }

    /// What the verdict rests on, in sentences: whether all got in, whether the sound was on time, and whatever else went wrong.
    fn reasons(&self) -> Vec<String> {
        let (figures, asked) = (self.figures, self.report.plan.listeners);
        let wrong = figures.shortfalls(asked);
        let mut reasons = Vec::new();
        let (outside, all) = (figures.outside(asked), asked.max(figures.outside(asked)));
        reasons.push(match (figures.joins, outside) {
            (0, _) => self.say(words("لم يدخل أحد.", "Nobody got in.")).to_owned(),
            (_, 0) => self.numbers(words("دخل جميع المستمعين ({}).", "All {} got in."), &[whole(asked)]),
            _ if wrong.outside => self.numbers(
                words("عدد من لم يتمكنوا من الدخول: {} من أصل {}.", "{} of {} did not get in."),
                &[whole(outside), whole(all)],
            ),
            _ => self.numbers(
                words("دخل جميع المستمعين إلا {} من أصل {}.", "All but {} of {} got in."),
                &[whole(outside), whole(all)],
            ),
        });
        let allowed = format!("{}%", WRONG_SHARE_MAX * 100.0);
        match figures.on_time_percent() {
            None if figures.joins == 0 => {}
            None => reasons.push(self.say(words("لم يسمع أحد شيئًا.", "Nobody heard anything.")).to_owned()),
            Some(percent) if wrong.late => reasons.push(self.numbers(
                words(
                    "وصل {} فقط من الصوت في موعده، والحد المقبول {}.",
                    "Only {} of the sound came on time; {} is the bound.",
                ),
                &[cut_percent(percent), format!("{}%", 100.0 - WRONG_SHARE_MAX * 100.0)],
            )),
            Some(percent) => {
                reasons.push(self.numbers(
                    words("وصل {} من الصوت في موعده.", "{} of the sound came on time."),
                    &[cut_percent(percent)],
                ))
            }
        }
        if wrong.silent && figures.chunks > 0 {
            // Rounded up, as what is on time is cut off: neither looks better than it is.
            let silent = figures.stalled as f64 / figures.listened.max(1) as f64;
            reasons.push(self.numbers(
                words(
                    "انقطع الصوت عن المستمعين {} من وقت استماعهم، والحد المقبول {}.",
                    "Listeners had nothing to hear for {} of the time that they listened; {} is the bound.",
                ),
                &[format!("{:.2}%", (silent * 10_000.0).ceil() / 100.0), allowed],
            ));
        }
        if figures.faults > 0 {
            reasons.push(self.numbers(
                words("عدد الأخطاء: {}، وهي مذكورة أدناه.", "Faults, listed below: {}."),
                &[whole(figures.faults)],
            ));
        }
        reasons
    }

    /// Why these numbers may not be the server's.
    fn doubt(&self) -> String {
        let busy = format!("{}%", BUSY_SHARE_MAX * 100.0);
        let (seconds_busy, seconds) = (whole(self.figures.seconds_busy), whole(self.figures.seconds));
        self.numbers(
            words(
                "انشغل مولّد الحمل نفسه أكثر من {} من الوقت في {} من {} من ثواني التجربة، فقد يكون ما قيس من تأخر تأخره هو لا تأخر الخادم. أعد التجربة بعمليات أكثر أو من جهاز آخر.",
                "The generator itself was busy for more than {} of the time in {} of {} seconds, so the lateness may be its own rather than the server's. Rehearse again with more processes, or from another machine.",
            ),
            &[busy, seconds_busy, seconds],
        )
    }

    /// Puts `numbers` into the places that `words` has for them, in order.
    fn numbers(&self, words: Words, numbers: &[String]) -> String {
        let mut numbers = numbers.iter();
        let mut parts = self.say(words).split("{}");
        let mut sentence = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let number = numbers.next().map_or("", String::as_str);
            let number = number.replace('%', self.say(words::PERCENT));
            sentence.push_str(&number);
            sentence.push_str(part);
        }
        sentence
    }

    /// How often sound came, from the least to the most if that changed, and so much longer.
    fn cadence(&self, longer: Duration) -> String {
        let time = |ms: u64| {
            let time = Duration::from_millis(ms).saturating_add(longer);
            Unit::Time.say(time.as_micros() as f64, self.language)
        };
        match (self.figures.cadence_ms_min, self.figures.cadence_ms) {
            (_, 0) => time(self.report.plan.cadence_ms),
            (least, most) if least == most => time(most),
            (least, most) => self.numbers(words("{} إلى {}", "{} to {}"), &[time(least), time(most)]),
        }
    }

    fn write_plan(&self, out: &mut String) -> fmt::Result {
        let plan = &self.report.plan;
        write!(out, "<dl class=\"plan\">")?;
        let target = format!("<code dir=\"ltr\">{}</code>", Outside(&plan.target));
        self.write_fact(out, words("الهدف", "Target"), &target)?;
        self.write_fact(out, words("الصيغة", "Format"), &isolated(&plan.format))?;
        self.write_fact(out, words("المستمعون المطلوبون", "Listeners asked for"), &whole(plan.listeners))?;
        self.write_fact(out, words("طريقة وصولهم", "How they came"), &isolated(&plan.arrival))?;
        let cadence = self.cadence(Duration::ZERO);
        self.write_fact(out, words("يصل الصوت كل", "Sound every"), &cadence)?;
        let started = match words::date(plan.started_unix_s) {
            Some(date) => {
                let machine = date.replace(' ', "T");
                format!("<time datetime=\"{machine}Z\" dir=\"ltr\">{date} UTC</time>")
            }
            None => "–".to_owned(),
        };
        self.write_fact(out, words("بدأت", "Began"), &started)?;
        writeln!(out, "</dl>")
    }

    /// The figures of [`Report::summary`], for people.
    fn write_figures(&self, out: &mut String) -> fmt::Result {
        let figures = self.figures;
        let time = |time: Option<Duration>| self.value(Unit::Time, time.map(|time| time.as_micros() as f64));
        let heading = self.say(words("الخلاصة", "Figures"));
        writeln!(out, "<section class=\"figures\"><h2>{heading}</h2>")?;
        let on_time = figures.on_time_percent().map_or("–".to_owned(), cut_percent);
        self.write_group(
            out,
            words("الدخول", "Getting in"),
            &[
                (words("أكثر عدد استمع معًا", "Listening at once, at most"), whole(figures.listeners_max)),
                (words("دخلوا", "Joined"), whole(figures.joins)),
                (words("لم يتمكنوا من الدخول", "Failed to join"), whole(figures.joins_failed)),
                (words("أكثر دخول في ثانية", "Joins in a second, at most"), whole(figures.joins_per_s_max)),
                (words("نصفهم دخل خلال", "Half joined within"), time(figures.join.quantile(0.5))),
                (words("99 من كل 100 دخلوا خلال", "99 in 100 joined within"), time(figures.join.quantile(0.99))),
            ],
        )?;
        self.write_group(
            out,
            words("الصوت", "Sound"),
            &[
                (words("في موعده", "On time"), self.numbers(words("{}", "{}"), &[on_time])),
                (words("الأجزاء", "Chunks"), whole(figures.chunks)),
                (words("نصفها تأخر حتى", "Half late by at most"), time(figures.lateness.quantile(0.5))),
                (words("99 من كل 100 تأخرت حتى", "99 in 100 late by at most"), time(figures.lateness.quantile(0.99))),
                (words("أطول تأخر", "Longest lateness"), time(figures.lateness.max())),
                (words("ثواني الانقطاع لدى المستمعين", "Stalled listener-seconds"), whole(figures.stalled)),
                (words("أطول انقطاع لدى مستمع", "Longest stall of a listener"), time(figures.stall.max())),
            ],
        )?;
        let cores = figures.server.map(|server| server.cores);
        let memory = figures.server.map(|server| server.resident_bytes as f64);
        self.write_group(
            out,
            words("التكلفة", "Cost"),
            &[
                (words("أنوية الخادم، على الأكثر", "The server's cores, at most"), self.value(Unit::Cores, cores)),
                (words("ذاكرة الخادم، على الأكثر", "The server's memory, at most"), self.value(Unit::Bytes, memory)),
                (words("البيانات كلها", "Bytes in all"), self.value(Unit::Bytes, Some(figures.bytes as f64))),
                (
                    words("انشغال المولّد، على الأكثر", "Generator busy, at most"),
                    self.value(Unit::Share, Some(figures.busy_share_max)),
                ),
                (words("الأخطاء", "Faults"), whole(figures.faults)),
                (words("مدة التجربة بالثواني", "Seconds rehearsed"), whole(figures.seconds)),
            ],
        )?;
        writeln!(out, "</section>")
    }

    fn write_group(&self, out: &mut String, heading: Words, facts: &[(Words, String)]) -> fmt::Result {
        write!(out, "<div><h3>{}</h3><dl>", self.say(heading))?;
        for (name, value) in facts {
            self.write_fact(out, *name, value)?;
        }
        writeln!(out, "</dl></div>")
    }

    fn write_fact(&self, out: &mut String, name: Words, value: &str) -> fmt::Result {
        write!(out, "<div><dt>{}</dt><dd>{value}</dd></div>", self.say(name))
    }

    /// A dash if it is not known.
    fn value(&self, unit: Unit, value: Option<f64>) -> String {
        value.map_or("–".to_owned(), |value| unit.say(value, self.language))
    }

    fn write_plots(&self, out: &mut String) -> fmt::Result {
        let heading = self.say(words("ثانية بثانية", "Second by second"));
        writeln!(out, "<section><h2>{heading}</h2>")?;
        let Some(timeline) = self.timeline else {
            let nothing = self.say(words("لم تُسجَّل أي ثانية.", "No second was recorded."));
            return writeln!(out, "<p>{nothing}</p></section>");
        };
        let axis = words(
            "الوقت من بدء التجربة، من اليسار إلى اليمين، وهو واحد في كل الرسوم.",
            "Time since the beginning; all plots share it.",
        );
        write!(out, "<p>{}", self.say(axis))?;
        if timeline.step() > 1 {
            let together = words(
                " كل نقطة تجمع {} ثانية: أعلى ثوانيها في الأعداد، وكلها معًا في الأزمنة.",
                " Each step stands for {} seconds: their highest for counts, all of them for times.",
            );
            write!(out, "{}", self.numbers(together, &[whole(timeline.step())]))?;
        }
        writeln!(out, "</p>")?;
        for plot in plots::plots(self.report, timeline) {
            plot.write(out, timeline, self.language)?;
        }
        if self.figures.server.is_none() {
            let unknown = words(
                "لم يُعرف ما احتاجه الخادم من معالج وذاكرة.",
                "What the server needed of processors and memory is not known.",
            );
            writeln!(out, "<p>{}</p>", self.say(unknown))?;
        }
        writeln!(out, "</section>")
    }

    fn write_faults(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "<section><h2>{}</h2>", self.say(words("الأخطاء", "Faults")))?;
        if self.report.faults.is_empty() {
            return writeln!(out, "<p>{}</p></section>", self.say(words("لا شيء.", "None.")));
        }
        let (fault, count) = (self.say(words("الخطأ", "Fault")), self.say(words("العدد", "Count")));
        write!(
            out,
            "<table><thead><tr><th scope=\"col\">{fault}</th><th scope=\"col\">{count}</th></tr></thead><tbody>"
        )?;
        // The most frequent first: that is what to mend.
        let mut faults: Vec<(&String, u64)> = self.report.faults.iter().map(|(name, &count)| (name, count)).collect();
        faults.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        for (name, count) in faults.iter().take(FAULTS_MAX) {
            writeln!(out, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", isolated(name), whole(*count))?;
        }
        let others = faults.iter().skip(FAULTS_MAX).fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        if others > 0 {
            let name = self.say(words("أخطاء أخرى", "others"));
            writeln!(out, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", whole(others))?;
        }
        writeln!(out, "</tbody></table></section>")
    }

    fn write_foot(&self, out: &mut String) -> fmt::Result {
        let bound = self.cadence(GRACE);
        let grace = Unit::Time.say(GRACE.as_micros() as f64, self.language);
        let late = words(
            "يُعد الجزء متأخرًا إذا اكتمل بعد موعده بأكثر من {}: وقت ما بين جزأين و{}. الأزمنة مقرّبة إلى أعلى بما لا يزيد على {}.",
            "A chunk is late if it is complete more than {} after its scheduled time: its cadence and {}. Times are rounded up, by {} at most.",
        );
        write!(out, "<footer><p>{}</p>", self.numbers(late, &[bound, grace, "3.2%".to_owned()]))?;
        writeln!(out, "<p><bdi dir=\"ltr\">Hiwar {}</bdi></p></footer>", Outside(&self.report.plan.version))
    }
}

fn whole(number: u64) -> String {
    words::whole(number)
}

/// Cut off after two digits, not rounded: 100 means all of it.
fn cut_percent(percent: f64) -> String {
    format!("{}%", (percent * 100.0 + 1e-6).floor() / 100.0)
}

/// Text from outside, which turns nothing around it.
fn isolated(text: &str) -> String {
    format!("<bdi>{}</bdi>", Outside(text))
}

#[cfg(test)]
mod tests;
