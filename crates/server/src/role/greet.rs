//! What the operator reads when Hiwar has started.

use std::time::{Duration, SystemTime};

use crate::api::Keys;

/// How long the printed link can create spaces; the next start prints a new one.
const HOST_LINK_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Prints where to listen and how to host, in the operator's language, on standard output.
pub fn print(public_origin: &str, keys: &Keys) {
    let link = format!("{public_origin}/#/host?token={}", keys.create_pass(SystemTime::now() + HOST_LINK_LIFE));
    let arabic = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|value| value.starts_with("ar"));
    if arabic {
        println!("\n  حوار يعمل.\n");
        println!("  للاستماع:   {public_origin}/");
        println!("  للاستضافة:  {link}");
        println!("              (هذا الرابط لك وحدك: من يملكه يستطيع إنشاء الحوارات)\n");
        println!("  للإيقاف: Ctrl-C\n");
    } else {
        println!("\n  Hiwar is running.\n");
        println!("  Listen:  {public_origin}/");
        println!("  Host:    {link}");
        println!("           (keep this link to yourself: whoever has it can create conversations)\n");
        println!("  Stop it with Ctrl-C.\n");
    }
}
