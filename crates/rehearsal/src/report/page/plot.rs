//! One plot: an inline SVG that is read aloud by its title and description, and a table of its numbers.
//!
//! The picture is as wide as there is room: its text keeps its size, and only the lines are stretched. Lines are steps, since each number is that of a whole
//! second, not of a moment.

use std::fmt::{self, Write};

use super::axis::{Axis, Scale};
use super::timeline::Timeline;
use super::words::{Language, Unit, Words, decimal, words};

/// Above the highest line, in CSS pixels: half of its name.
const TOP: f64 = 8.0;
/// From the highest line to the lowest.
const HEIGHT: f64 = 120.0;
/// From the top to the foot of the time axis' text.
const MARKS: f64 = 146.0;
/// Units of the stretched picture from its top to its bottom: eight to a pixel.
const FINE: f64 = 1000.0;
/// What a bar is high at least, in units: three pixels, so that one failure among thousands of joins is seen.
const BAR_MIN: i64 = 25;
/// Values above this are drawn as this: numbers that no machine reaches, but a report that was tampered with may hold.
const VALUE_MAX: f64 = 1e15;

/// How a series is drawn. They differ in more than colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// A line above a tinted area.
    Area,
    /// A broad line.
    Broad,
    /// A thin, darker line.
    Thin,
    /// Bars, in the colour of trouble.
    Bars,
}

impl Ink {
    fn class(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Broad => "broad",
            Self::Thin => "thin",
            Self::Bars => "bars",
        }
    }
}

/// One number over time.
#[derive(Debug)]
pub(super) struct Series {
    name: Words,
    ink: Ink,
    /// One for each span of the timeline: finite and not negative; `None` where nothing is known.
    values: Vec<Option<f64>>,
}

impl Series {
    /// Takes what is no number for unknown.
    pub(super) fn new(name: Words, ink: Ink, values: impl Iterator<Item = Option<f64>>) -> Self {
        let values =
            values.map(|value| value.filter(|value| value.is_finite()).map(|value| value.clamp(0.0, VALUE_MAX)));
        Self { name, ink, values: values.collect() }
    }

    fn known(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        self.values.iter().copied().flatten()
    }
}

/// A value that numbers are held against.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// A line.
    Line(f64, Words),
    /// Everything above is tinted.
    Above(f64, Words),
}

impl Limit {
    fn value(self) -> f64 {
        let (Self::Line(value, _) | Self::Above(value, _)) = self;
        value
    }

    fn name(self) -> Words {
        let (Self::Line(_, name) | Self::Above(_, name)) = self;
        name
    }

    fn class(self) -> &'static str {
        match self {
            Self::Line(..) => "bound",
            Self::Above(..) => "band",
        }
    }
}

/// Numbers over time that belong together.
#[derive(Debug)]
pub(super) struct Plot {
    /// What its ids begin with.
    pub(super) id: &'static str,
    pub(super) title: Words,
    /// What one must know to read it.
    pub(super) note: Words,
    pub(super) unit: Unit,
    pub(super) scale: Scale,
    pub(super) series: Vec<Series>,
    pub(super) limit: Option<Limit>,
}

impl Plot {
    /// The whole figure.
    pub(super) fn write(&self, out: &mut String, timeline: &Timeline, language: Language) -> fmt::Result {
        let (id, tag) = (self.id, language.tag());
        let (title, note) = (self.title.of(language), self.note.of(language));
        write!(out, "<figure id=\"{id}-{tag}\"><figcaption><h3>{title}</h3><p>{note}</p></figcaption>")?;
        self.write_legend(out, language)?;
        self.write_picture(out, timeline, language)?;
        self.write_table(out, timeline, language)?;
        writeln!(out, "</figure>")
    }

    fn write_legend(&self, out: &mut String, language: Language) -> fmt::Result {
        if self.series.len() == 1 && self.limit.is_none() {
            return Ok(());
        }
        out.write_str("<ul class=\"legend\">")?;
        for series in &self.series {
            write_key(out, series.ink.class(), series.name.of(language))?;
        }
        if let Some(limit) = self.limit {
            let named = format!("{} {}", limit.name().of(language), self.unit.say(limit.value(), language));
            write_key(out, limit.class(), &named)?;
        }
        writeln!(out, "</ul>")
    }

    fn write_picture(&self, out: &mut String, timeline: &Timeline, language: Language) -> fmt::Result {
        let axis = self.axis();
        let (id, tag) = (self.id, language.tag());
        let labels = format!("{id}-{tag}-title {id}-{tag}-said");
        write!(out, "<svg class=\"plot\" role=\"img\" aria-labelledby=\"{labels}\">")?;
        write!(out, "<title id=\"{id}-{tag}-title\">{}</title>", self.title.of(language))?;
        write!(out, "<desc id=\"{id}-{tag}-said\">{}</desc>", self.said(timeline, language))?;
        if let Some(Limit::Above(from, _)) = self.limit {
            let height = axis.down(from) * HEIGHT;
            write!(out, "<rect class=\"band\" y=\"{TOP}\" width=\"100%\" height=\"{height:.1}\"/>")?;
        }
        let marks = timeline.marks(language);
        self.write_lines(out, &axis, &marks, language)?;
        let spans = timeline.spans().len();
        write!(
            out,
            "<svg class=\"series\" y=\"{TOP}\" width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 {spans} {FINE}\" preserveAspectRatio=\"none\">"
        )?;
        for series in &self.series {
            series.write(out, &axis)?;
        }
        out.write_str("</svg>")?;
        // An empty picture might as well be a broken one.
        let mut known = self.series.iter().flat_map(Series::known).peekable();
        let nothing = match known.peek() {
            None => Some(words("لم يُقَس شيء", "nothing was measured")),
            Some(_) => known.all(|value| value <= 0.0).then_some(words("صفر طوال التجربة", "none at any time")),
        };
        if let Some(nothing) = nothing {
            let (y, nothing) = (TOP + HEIGHT / 2.0, nothing.of(language));
            write!(out, "<text x=\"50%\" y=\"{y:.1}\" text-anchor=\"middle\">{nothing}</text>")?;
        }
        if let Some(Limit::Line(at, _)) = self.limit {
            let y = TOP + axis.down(at) * HEIGHT;
            write!(out, "<line class=\"bound\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
        }
        writeln!(out, "</svg>")
    }

    /// The lines behind the series, each with its name.
    fn write_lines(&self, out: &mut String, axis: &Axis, marks: &[(f64, String)], language: Language) -> fmt::Result {
        let (divisor, symbol) = self.unit.symbol(axis.high());
        for &value in axis.lines() {
            let y = TOP + axis.down(value) * HEIGHT;
            // At a linear axis one unit for all, so that they can be compared at a glance; each decade of the other has its own.
            let name = match self.scale {
                Scale::Linear => format!("{}{}", decimal(value / divisor), symbol.of(language)),
                Scale::Logarithmic => self.unit.say(value, language),
            };
            write!(out, "<line class=\"grid\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
            let anchor = Anchor::Right.of(language);
            write!(out, "<text x=\"-8\" y=\"{:.1}\" text-anchor=\"{anchor}\">{name}</text>", y + 4.0)?;
        }
        for (mark, (at, name)) in marks.iter().enumerate() {
            let (x, foot) = (at * 100.0, TOP + HEIGHT);
            // On a phone there is room for every second name.
            let class = if mark % 2 == 1 { " class=\"between\"" } else { "" };
            // Names at the ends stay inside.
            let anchor = match x {
                left if left < 3.0 => Anchor::Left,
                right if right > 95.0 => Anchor::Right,
                _ => Anchor::Middle,
            };
            write!(out, "<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"{TOP}\" y2=\"{foot}\"/>")?;
            let anchor = anchor.of(language);
            write!(out, "<text{class} x=\"{x:.2}%\" y=\"{MARKS}\" text-anchor=\"{anchor}\">{name}</text>")?;
        }
        Ok(())
    }

    fn write_table(&self, out: &mut String, timeline: &Timeline, language: Language) -> fmt::Result {
        let most = self.series.iter().flat_map(Series::known).fold(0.0, f64::max);
        let (divisor, symbol) = match self.unit {
            // In full: there is room.
            Unit::Count => Unit::Count.symbol(0.0),
            // As in the summary.
            Unit::Time => Unit::Time.symbol(1e3),
            unit => unit.symbol(most),
        };
        let numbers = words("الأرقام", "Numbers").of(language);
        let title = self.title.of(language);
        write!(out, "<details><summary>{numbers}<span class=\"hidden\">: {title}</span></summary>")?;
        write!(out, "<div role=\"region\" tabindex=\"0\" aria-label=\"{title}\"><table><thead><tr>")?;
        let second = if timeline.step() > 1 {
            words("من الثانية", "From second")
        } else {
            words("الثانية", "Second")
        };
        write!(out, "<th scope=\"col\">{}</th>", second.of(language))?;
        for series in &self.series {
            write!(out, "<th scope=\"col\">{}", series.name.of(language))?;
            match symbol.of(language).trim_start() {
                "" => {}
                symbol => write!(out, " (<bdi>{symbol}</bdi>)")?,
            }
            out.write_str("</th>")?;
        }
        writeln!(out, "</tr></thead><tbody>")?;
        for at in 0..timeline.spans().len() {
            write!(out, "<tr><th>{}</th>", timeline.second(at))?;
            for series in &self.series {
                match series.values[at] {
                    Some(value) => write!(out, "<td>{}</td>", decimal(value / divisor))?,
                    None => out.write_str("<td>–</td>")?,
                }
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</tbody></table></div></details>")
    }

    /// What one hears instead of seeing it: the least and the most of each series, and when.
    fn said(&self, timeline: &Timeline, language: Language) -> String {
        let mut said = String::new();
        for series in &self.series {
            let name = series.name.of(language);
            let known = series.values.iter().enumerate().filter_map(|(at, value)| value.map(|value| (at, value)));
            let most = known.clone().reduce(|most, next| if next.1 > most.1 { next } else { most });
            let least = known.reduce(|least, next| if next.1 < least.1 { next } else { least });
            let (Some((when, most)), Some((_, least))) = (most, least) else {
                let unknown = words("غير معروف", "not known").of(language);
                said.push_str(&[name, ": ", unknown, ". "].concat());
                continue;
            };
            let (least, most) = (self.unit.say(least, language), self.unit.say(most, language));
            let when = timeline.say(timeline.second(when), language);
            let sentence = match language {
                _ if least == most => format!("{name}: {most}. "),
                Language::Arabic => format!("{name}: من {least} إلى {most}، وأكثره عند {when}. "),
                Language::English => format!("{name}: from {least} to {most}, the most at {when}. "),
            };
            said.push_str(&sentence);
        }
        if let Some(limit) = self.limit {
            let (name, value) = (limit.name().of(language), self.unit.say(limit.value(), language));
            said.push_str(&[name, " ", &value, "."].concat());
        }
        said
    }

    fn axis(&self) -> Axis {
        let limit = self.limit.map(Limit::value);
        // Shares are seen against the whole.
        let whole = (self.unit == Unit::Share).then_some(1.0);
        let values = self.series.iter().flat_map(Series::known).chain(limit).chain(whole);
        Axis::holding(self.scale, self.unit == Unit::Count, values)
    }
}

impl Series {
    /// Its line, area or bars: one unit to a span from left to right, [`FINE`] from top to bottom.
    fn write(&self, out: &mut String, axis: &Axis) -> fmt::Result {
        let down = |value: f64| (axis.down(value) * FINE).round() as i64;
        match self.ink {
            Ink::Bars => {
                write!(out, "<path class=\"bars\" d=\"")?;
                for (at, value) in self.values.iter().enumerate() {
                    if let Some(value) = value.filter(|&value| value > 0.0) {
                        let top = down(value).min(FINE as i64 - BAR_MIN);
                        write!(out, "M{at} {FINE}V{top}h1V{FINE}z")?;
                    }
                }
                return out.write_str("\"/>");
            }
            Ink::Area => {
                write!(out, "<path class=\"wash\" d=\"")?;
                self.write_steps(out, down, Foot::Closed)?;
                out.write_str("\"/>")?;
            }
            Ink::Broad | Ink::Thin => {}
        }
        write!(out, "<path class=\"{}\" d=\"", self.ink.class())?;
        self.write_steps(out, down, Foot::Open)?;
        out.write_str("\"/>")
    }

    /// A step for each value; nothing where there is none.
    fn write_steps(&self, out: &mut String, down: impl Fn(f64) -> i64, foot: Foot) -> fmt::Result {
        let mut before = None;
        for (at, value) in self.values.iter().enumerate() {
            let y = value.map(&down);
            match (before, y, foot) {
                (None, Some(y), Foot::Open) => write!(out, "M{at} {y}h1")?,
                (None, Some(y), Foot::Closed) => write!(out, "M{at} {FINE}V{y}h1")?,
                (Some(before), Some(y), _) if before == y => out.write_str("h1")?,
                (Some(_), Some(y), _) => write!(out, "V{y}h1")?,
                (Some(_), None, Foot::Closed) => write!(out, "V{FINE}z")?,
                (_, None, _) => {}
            }
            before = y;
        }
        match (before, foot) {
            (Some(_), Foot::Closed) => write!(out, "V{FINE}z"),
            _ => Ok(()),
        }
    }
}

/// Whether steps go down to the bottom at their ends, to be filled.
#[derive(Clone, Copy)]
enum Foot {
    Open,
    Closed,
}

/// One line of a legend: how it is drawn, and what it is.
fn write_key(out: &mut String, class: &str, name: &str) -> fmt::Result {
    let drawn = match class {
        "bars" | "band" => format!("<rect class=\"{class}\" x=\"4\" y=\"1\" width=\"16\" height=\"10\"/>"),
        line => format!("<line class=\"{line}\" x2=\"24\" y1=\"6\" y2=\"6\"/>"),
    };
    write!(out, "<li><svg class=\"key\" width=\"24\" height=\"12\" aria-hidden=\"true\">{drawn}</svg>{name}</li>")
}

/// On which side of its text a point is; `text-anchor` knows only the beginning and the end of a text, and those change sides with the direction.
#[derive(Clone, Copy)]
enum Anchor {
    Left,
    Middle,
    Right,
}

impl Anchor {
    fn of(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Middle, _) => "middle",
            (Self::Left, Language::English) | (Self::Right, Language::Arabic) => "start",
            (Self::Right, Language::English) | (Self::Left, Language::Arabic) => "end",
        }
    }
}
