//! What is drawn of a rehearsal, in the order in which one asks: who is in, who comes, how long it takes, how late the sound is, and what it costs.

use std::time::Duration;

use super::axis::Scale;
use super::plot::{Ink, Limit, Plot, Series};
use super::timeline::{Span, Timeline};
use super::words::{Unit, Words, words};
use crate::report::{BUSY_SHARE_MAX, Histogram, Report};

/// All plots of `report`. The server's are left out if nothing is known of it.
pub(super) fn plots(report: &Report, timeline: &Timeline) -> Vec<Plot> {
    let server_seen = timeline.spans().iter().flatten().any(|span| span.server.is_some());
    let mut plots = vec![listening(timeline), joins(timeline), time_to_join(timeline)];
    plots.extend([lateness(report, timeline), stalled(timeline), bytes(timeline)]);
    if server_seen {
        plots.extend([cores(timeline), memory(timeline)]);
    }
    plots.push(generator(timeline));
    plots
}

/// Half of them, and all but one in a hundred.
const HALF: Words = words("النصف خلال (p50)", "half within (p50)");
const NEARLY_ALL: Words = words("99 من كل 100 خلال (p99)", "99 in 100 within (p99)");

fn listening(timeline: &Timeline) -> Plot {
    Plot {
        id: "listening",
        title: words("المستمعون", "Listening"),
        note: words("من كانوا متصلين في نهاية كل ثانية.", "Who was connected at the end of each second."),
        unit: Unit::Count,
        scale: Scale::Linear,
        series: vec![series(timeline, words("مستمعون", "listening"), Ink::Area, |span| {
            Some(span.listening as f64)
        })],
        limit: None,
    }
}

fn joins(timeline: &Timeline) -> Plot {
    Plot {
        id: "joins",
        title: words("الدخول في كل ثانية", "Joins per second"),
        note: words(
            "من دخلوا، ومن حاولوا ولم يتمكنوا.",
            "Who got in, and who tried and did not. A failure is drawn at least three pixels high.",
        ),
        unit: Unit::Count,
        scale: Scale::Linear,
        series: vec![
            series(timeline, words("دخلوا", "joined"), Ink::Area, |span| Some(span.joined as f64)),
            series(timeline, words("لم يتمكنوا", "failed"), Ink::Bars, |span| Some(span.failed as f64)),
        ],
        limit: None,
    }
}

fn time_to_join(timeline: &Timeline) -> Plot {
    Plot {
        id: "join-time",
        title: words("زمن الدخول", "Time to join"),
        note: words(
            "من بدء الاتصال إلى أول البث، لمن دخلوا في تلك الثانية. كل خط أفقي عشرة أمثال الذي تحته.",
            "From the first packet to the head of the stream, of those who joined in that second. Each line is ten times the one below.",
        ),
        unit: Unit::Time,
        scale: Scale::Logarithmic,
        series: quantiles(timeline, |span| &span.join),
        limit: None,
    }
}

fn lateness(report: &Report, timeline: &Timeline) -> Plot {
    Plot {
        id: "lateness",
        title: words("تأخر الصوت", "Lateness of the sound"),
        note: words(
            "كم تأخر اكتمال كل جزء من الصوت عند المستمع عن موعده. كل خط أفقي عشرة أمثال الذي تحته.",
            "How long after its scheduled time each chunk was complete at a listener. Each line is ten times the one below.",
        ),
        unit: Unit::Time,
        scale: Scale::Logarithmic,
        series: quantiles(timeline, |span| &span.lateness),
        limit: Some(Limit::Line(microseconds(report.lateness_max()), words("الحد المقبول:", "bound:"))),
    }
}

fn stalled(timeline: &Timeline) -> Plot {
    Plot {
        id: "stalled",
        title: words("مستمعون انقطع عنهم الصوت", "Stalled listeners"),
        note: words("من لم يبق لديهم ما يسمعونه في تلك الثانية.", "Who had nothing left to hear in that second."),
        unit: Unit::Count,
        scale: Scale::Linear,
        series: vec![series(timeline, words("انقطع عنهم الصوت", "stalled"), Ink::Bars, |span| {
            Some(span.stalled as f64)
        })],
        limit: None,
    }
}

fn bytes(timeline: &Timeline) -> Plot {
    Plot {
        id: "bytes",
        title: words("البيانات في كل ثانية", "Bytes per second"),
        note: words("ما وصل إلى المستمعين جميعًا.", "What arrived at all listeners together."),
        unit: Unit::BytesPerSecond,
        scale: Scale::Linear,
        series: vec![series(timeline, words("وصل", "arrived"), Ink::Area, |span| Some(span.bytes as f64))],
        limit: None,
    }
}

fn cores(timeline: &Timeline) -> Plot {
    Plot {
        id: "cores",
        title: words("معالج الخادم", "The server's processors"),
        note: words("عدد الأنوية التي شغلها: 1 نواة كاملة.", "How many cores it kept busy: 1 is a whole one."),
        unit: Unit::Cores,
        scale: Scale::Linear,
        series: vec![series(timeline, words("أنوية", "cores"), Ink::Area, |span| {
            span.server.map(|server| server.cores)
        })],
        limit: None,
    }
}

fn memory(timeline: &Timeline) -> Plot {
    Plot {
        id: "memory",
        title: words("ذاكرة الخادم", "The server's memory"),
        note: words("ما شغله منها فعلًا.", "What of it was resident."),
        unit: Unit::Bytes,
        scale: Scale::Linear,
        series: vec![series(timeline, words("الذاكرة", "memory"), Ink::Area, |span| {
            span.server.map(|server| server.resident_bytes as f64)
        })],
        limit: None,
    }
}

fn generator(timeline: &Timeline) -> Plot {
    Plot {
        id: "generator",
        title: words("انشغال مولّد الحمل", "How busy the generator was"),
        note: words(
            "أكثر عملياته انشغالًا. من كان مشغولًا طوال الوقت تقريبًا يقرأ متأخرًا، فيظهر تأخره كأنه تأخر الخادم.",
            "The busiest of its processes. One that is busy nearly all the time reads late, and its lateness looks like the server's.",
        ),
        unit: Unit::Share,
        scale: Scale::Linear,
        series: vec![series(timeline, words("مشغول", "busy"), Ink::Area, |span| Some(span.busy_share))],
        limit: Some(Limit::Above(BUSY_SHARE_MAX, words("لا يوثق بما فوق", "not to be trusted above"))),
    }
}

fn series(timeline: &Timeline, name: Words, ink: Ink, value: impl Fn(&Span) -> Option<f64>) -> Series {
    Series::new(name, ink, timeline.spans().iter().map(|span| span.as_ref().and_then(&value)))
}

fn quantiles(timeline: &Timeline, times: impl Fn(&Span) -> &Histogram) -> Vec<Series> {
    let of = |share: f64| {
        let times = &times;
        move |span: &Span| times(span).quantile(share).map(microseconds)
    };
    vec![series(timeline, HALF, Ink::Broad, of(0.5)), series(timeline, NEARLY_ALL, Ink::Thin, of(0.99))]
}

fn microseconds(time: Duration) -> f64 {
    time.as_micros() as f64
}
