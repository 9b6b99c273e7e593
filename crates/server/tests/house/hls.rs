//! HLS as the whole server gives it.

use serde_json::json;

use crate::http::ask;
use crate::server::{Server, until};

#[test]
fn a_sleeping_space_wakes_for_a_player_of_hls_who_is_counted_as_one() {
    let server = Server::start();
    // The playlist of a space that has just been made is waited for: nobody is on its stage, and nothing was ever encoded.
    let space = server.live("Nobody here");
    let get = |target: String| ask(server.public, "GET", &format!("/hls/{}/{target}", space.id), &[], b"");
    let first = get("live.m3u8".into());
    assert_eq!(first.status, 200, "{first:?}");
    assert!(first.text().contains("#EXT-X-PRELOAD-HINT:"), "{}", first.text());
    // And it goes on for as long as the player asks.
    let mut listed = 0;
    until("two segments", || {
        let playlist = get("live.m3u8?_HLS_msn=1".into());
        assert_eq!(playlist.status, 200, "{playlist:?}");
        listed = playlist.text().lines().filter(|line| line.ends_with(".m4a") && !line.starts_with('#')).count();
        (listed >= 2).then_some(())
    });
    server.until_view(&space, "one listener", |view| view["listeners"] == json!(1));
}
