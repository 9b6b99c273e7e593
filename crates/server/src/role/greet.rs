//! What the operator reads when Hiwar has started.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use hiwar_admission::{Grant, Origin};

use crate::api::Keys;
use crate::config::Config;

/// How long the printed link can create spaces; the next start prints a new one.
const HOST_LINK_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long an operator's link is good.
const WATCH_LINK_LIFE: Duration = Duration::from_secs(12 * 3600);

/// What one listener takes of the line. A chunk of 200 ms is 800 bytes of Opus (32 kbit/s), 136 of `moof` and `mdat`, 22 of a TLS record, 52 of IP and TCP and 38
/// of Ethernet: 41.9 kbit/s. The rest is for who speaks when (`emsg`), acknowledgements, what is sent twice, and pages.
const LISTENER_BPS: u64 = 48_000;

/// Prints where to listen and how to host, in the operator's language, on standard output.
pub fn print(config: &Config, keys: &Keys) {
    let link = if in_journal() { None } else { Some(host_link(&config.public_origin(), keys)) };
    let link = link.as_deref();
    print!("{}", if arabic() { in_arabic(config, link) } else { in_english(config, link) });
}

/// Where an operator watches the server, with a pass that is good for an evening.
pub fn watch_link(public_origin: &str, keys: &Keys) -> String {
    let pass = keys.stage_pass(SystemTime::now() + WATCH_LINK_LIFE, Grant::Operate);
    format!("{public_origin}/#/operate?token={pass}")
}

/// A new link to create conversations with.
pub fn host_link(public_origin: &str, keys: &Keys) -> String {
    format!("{public_origin}/#/host?token={}", keys.create_pass(SystemTime::now() + HOST_LINK_LIFE))
}

/// What is said beside such a link.
pub fn keep_to_yourself() -> &'static str {
    if arabic() { SECRET_ARABIC } else { SECRET_ENGLISH }
}

/// What is said beside an operator's link.
pub fn keep_watch_link() -> &'static str {
    if arabic() {
        "هذا الرابط لك وحدك: من يملكه يأمر هذا الخادم اثنتي عشرة ساعة"
    } else {
        "keep this link to yourself: for twelve hours, whoever has it can order what you can"
    }
}

const SECRET_ENGLISH: &str = "keep this link to yourself: whoever has it can create conversations";
const SECRET_ARABIC: &str = "هذا الرابط لك وحدك: من يملكه يستطيع إنشاء الحوارات";

/// What is said beside a grant to rehearse: what it is worth, and how it is used.
pub fn how_to_rehearse(origin: &Origin, listeners: u32, minutes: u32) -> String {
    let command = format!("\n\n  hiwar rehearse listen {origin}/listen/SPACE.mp4 --listeners N --grant GRANT\n");
    if arabic() {
        format!(
            "هذا الإذن لك وحدك: من يملكه يستطيع أن يملأ {origin} بمستمعين عددهم حتى {listeners} من كل جهاز، لمدة {minutes} دقيقة.\nعلى الجهاز الذي يؤدي دور \
             الجمهور، وفي موضع SPACE معرّف حوار مباشر:{command}"
        )
    } else {
        format!(
            "Keep this grant to yourself: for {minutes} minutes, whoever has it can fill {origin} with up to {listeners} listeners from each machine.\nOn the \
             machine that plays the crowd, with the id of a conversation that is live for SPACE:{command}"
        )
    }
}

/// When that will be, which the operator decides.
pub fn keys_will_be_rotated() -> &'static str {
    if arabic() {
        "تُبدَّل المفاتيح حين يوقف الخادم ويبدأ من جديد (systemctl restart hiwar)، ولا تُبدَّل حين يعاد تشغيله في مكانه\nيبقى ما وقّعته إلى ذلك الحين صالحًا حتى التبديل الذي يليه"
    } else {
        "the keys are replaced when the server is stopped and started (systemctl restart hiwar), and not when it restarts in place\nwhat they signed until then stays good until the rotation after that"
    }
}

/// The operator's language, as POSIX has it.
fn arabic() -> bool {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|value| value.starts_with("ar"))
}

/// Whether standard output is the system's journal (systemd.exec(5), `JOURNAL_STREAM`), which more people may read than may host.
fn in_journal() -> bool {
    let (Ok(journal), Ok(output)) = (std::env::var("JOURNAL_STREAM"), std::fs::metadata("/proc/self/fd/1")) else {
        return false;
    };
    journal == format!("{}:{}", output.dev(), output.ino())
}

/// Without a `link`, in a service's journal: how to get one.
fn in_english(config: &Config, link: Option<&str>) -> String {
    let (public, stage) = (config.public_origin(), config.stage_origin());
    let mut text = format!("\n  Hiwar is running.\n\n  Listen:  {public}/\n");
    let _ = match link {
        Some(link) => writeln!(text, "  Host:    {link}\n           ({SECRET_ENGLISH})"),
        None => writeln!(text, "  Host:    by the link that `hiwar admin host-link` prints"),
    };
    let _ =
        writeln!(text, "  Stage:   {stage} (hosts and speakers; other programs publish by WHIP to {stage}/whip/ID)");
    match config.egress_mbps {
        Some(mbps) => {
            let _ = writeln!(
                text,
                "  Crowd:   {mbps} Mbit/s carry about {} listeners at {} kbit/s each",
                listeners(mbps),
                LISTENER_BPS / 1000
            );
        }
        None if config.host.is_some() => {
            text.push_str("  Crowd:   set egress_mbps to what this server may send, and the number of listeners that it carries is said here\n");
        }
        None => {}
    }
    text.push_str(if link.is_some() { "\n  Stop it with Ctrl-C.\n\n" } else { "\n" });
    text
}

fn in_arabic(config: &Config, link: Option<&str>) -> String {
    let (public, stage) = (config.public_origin(), config.stage_origin());
    let mut text = format!("\n  حوار يعمل.\n\n  للاستماع:   {public}/\n");
    let _ = match link {
        Some(link) => writeln!(text, "  للاستضافة:  {link}\n              ({SECRET_ARABIC})"),
        None => writeln!(text, "  للاستضافة:  بالرابط الذي يطبعه الأمر hiwar admin host-link"),
    };
    let _ =
        writeln!(text, "  المنصة:     {stage} (للمضيفين والمتحدثين؛ وتنشر البرامج الأخرى عبر WHIP إلى {stage}/whip/ID)");
    match config.egress_mbps {
        Some(mbps) => {
            let _ = writeln!(
                text,
                "  الجمهور:    تكفي {mbps} ميغابت/ث نحو {} مستمع، لكل منهم {} كيلوبت/ث",
                listeners(mbps),
                LISTENER_BPS / 1000
            );
        }
        None if config.host.is_some() => {
            text.push_str("  الجمهور:    حدّد egress_mbps بقدر ما يستطيع الخادم إرساله لتعرف هنا كم مستمعًا يكفي\n");
        }
        None => {}
    }
    text.push_str(if link.is_some() { "\n  للإيقاف: Ctrl-C\n\n" } else { "\n" });
    text
}

/// How many can listen, to two digits: more would say more than is known.
fn listeners(mbps: u32) -> u64 {
    let exact = u64::from(mbps) * 1_000_000 / LISTENER_BPS;
    let step = 10_u64.pow(exact.max(1).ilog10().saturating_sub(1));
    exact / step * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crowd_that_a_line_carries_is_said_in_two_digits() {
        let check = |mbps, expected| assert_eq!(listeners(mbps), expected, "{mbps}");
        check(1, 20);
        check(10, 200);
        check(100, 2_000);
        check(250, 5_200);
        check(1_000, 20_000);
        check(10_000, 200_000);
        check(u32::MAX, 89_000_000_000);
    }
}
