//! What a newcomer hears first.

use crate::ear::{Ear, ogg, pages, pcm, pieces, rms, tail};
use crate::http::ask;
use crate::server::Server;

#[test]
fn the_demo_is_heard_on_a_fresh_directory() {
    let server = Server::start_with(&[]);
    let (by_ogg, by_mp4) = (Ear::on(server.public, "/listen/demo.ogg"), Ear::on(server.public, "/listen/demo.mp4"));

    by_ogg.body("speech in Ogg", |body| (rms(tail(&ogg(body, 0), 0.5)?) > 0.01).then_some(()));
    by_ogg.body("Ogg pages in order", |body| {
        let pages = pages(body);
        assert!(pages[0].packets[0].starts_with(b"OpusHead") && pages[1].packets[0].starts_with(b"OpusTags"));
        let sound = &pages[2..];
        for pair in sound.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence + 1);
            assert_eq!(pair[1].granule, pair[0].granule + 9_600);
        }
        (sound.len() > 5).then_some(())
    });

    by_mp4.body("speech, the stage and who speaks in MP4", |body| {
        let pieces = pieces(body);
        for pair in pieces.windows(2) {
            assert_eq!(pair[1].time, pair[0].time + 9_600);
        }
        let sound = pcm(pieces.iter().flat_map(|piece| &piece.frames).map(Vec::as_slice));
        let events: Vec<_> = pieces.into_iter().flat_map(|piece| piece.events).collect();
        let speaks = events.iter().any(|event| event["t"] == "speaking" && !event["id"].is_i64());
        // Who came in the last moment before us may be told a moment later.
        let whole = events.iter().any(|event| {
            let speakers = event["speakers"].as_array().map_or(0, Vec::len);
            event["t"] == "stage" && event["state"] == "live" && speakers == 3
        });
        (rms(tail(&sound, 0.5)?) > 0.01 && speaks && whole).then_some(())
    });

    let page = ask(server.public, "GET", "/s/demo", &[], &[]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let spaces = ask(server.public, "GET", "/api/spaces/v1/spaces", &[], &[]).json();
    assert_eq!((&spaces["spaces"][0]["id"], &spaces["spaces"][0]["state"]), (&"demo".into(), &"live".into()));
    assert!(!by_ogg.is_closed() && !by_mp4.is_closed());
}
