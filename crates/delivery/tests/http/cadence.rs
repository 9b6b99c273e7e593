//! How often listeners are written to, and how that changes while they listen.

use hiwar_admission::ladder::Cadence;

use crate::scene::Scene;

#[test]
fn who_listens_is_told_before_pieces_get_longer_and_nothing_is_lost_on_the_way_there_and_back() {
    let mut scene = Scene::new();
    (0..20).for_each(|_| scene.join("mp4"));
    scene.step();
    scene.wish(Cadence::S2);
    scene.until('m', "soon2000;");
    // Whoever comes now begins so, with as much in hand as it may have to wait.
    scene.join("mp4");
    let late = scene.ears.last_mut().unwrap();
    late.hear();
    assert!(late.heard.contains("init-mp4;now2000;m"), "{}", late.heard);
    assert_eq!(late.chunks().len(), 12, "{}", late.heard);
    scene.until('m', "now2000;");
    // From here on each has one turn in ten chunks, and turns are spread.
    let mut turns = vec![0; scene.ears.len()];
    for _ in 0..20 {
        scene.step();
        let now: Vec<bool> = scene.ears.iter().map(|ear| !ear.last.is_empty()).collect();
        assert!(now.iter().filter(|&&now| now).count() <= 4, "{now:?}");
        turns.iter_mut().zip(now).for_each(|(turn, now)| *turn += usize::from(now));
    }
    assert!(turns.iter().all(|&turns| turns == 2), "{turns:?}");
    scene.wish(Cadence::Ms200);
    scene.until('m', "now200;");
    scene.step();
    for ear in &scene.ears {
        let chunks = ear.chunks();
        assert_eq!(chunks, (chunks[0]..scene.next).collect::<Vec<_>>(), "{}", ear.heard);
    }
    let stats = scene.rig.handle.stats();
    assert_eq!((stats.skipped_total, stats.cut_total, scene.rig.listening("on-air")), (0, 0, 21));
    assert_eq!(stats.stance.cadence, Cadence::Ms200);
}

#[test]
fn a_change_that_is_taken_back_leaves_everyone_where_they_are() {
    let mut scene = Scene::new();
    (0..3).for_each(|_| scene.join("mp4"));
    scene.wish(Cadence::S4);
    scene.until('m', "soon4000;");
    scene.wish(Cadence::Ms200);
    scene.until('m', "now200;");
    for _ in 0..40 {
        scene.step();
    }
    for ear in &scene.ears {
        assert!(!ear.heard.contains("now4000;") && !ear.last.is_empty(), "{}", ear.heard);
    }
}

#[test]
fn who_cannot_be_told_is_moved_to_one_second_and_no_further() {
    let mut scene = Scene::new();
    ["ogg", "mp4"].into_iter().for_each(|form| scene.join(form));
    scene.wish(Cadence::S4);
    scene.until('m', "now4000;");
    let mut turns = 0;
    for _ in 0..20 {
        scene.step();
        turns += usize::from(!scene.ears[0].last.is_empty());
    }
    assert_eq!(turns, 4, "{}", scene.ears[0].heard);
    let chunks = scene.ears[0].chunks();
    assert!(chunks.windows(2).all(|pair| pair[1] == pair[0] + 1), "{}", scene.ears[0].heard);
}

#[test]
fn what_was_announced_comes_though_something_longer_is_wanted_meanwhile() {
    let mut scene = Scene::new();
    (0..3).for_each(|_| scene.join("mp4"));
    scene.wish(Cadence::S1);
    scene.until('m', "soon1000;");
    scene.wish(Cadence::S2);
    scene.join("mp4");
    scene.until('m', "now2000;");
    let (late, early) = scene.ears.split_last().unwrap();
    for ear in early {
        let at = |words: &str| ear.heard.find(words).unwrap_or_else(|| panic!("no {words} in {}", ear.heard));
        assert!(at("soon1000;") < at("now1000;") && at("now1000;") < at("soon2000;"), "{}", ear.heard);
        assert!(at("soon2000;") < at("now2000;"), "{}", ear.heard);
    }
    assert!(!late.heard.contains("1000;"), "who joined at the longer one is not moved back: {}", late.heard);
}

#[test]
fn everyone_is_told_also_if_chunks_come_meanwhile() {
    let mut scene = Scene::new();
    (0..30).for_each(|_| scene.join("mp4"));
    scene.wish(Cadence::S1);
    scene.until('m', "now1000;");
    for _ in 0..10 {
        // In one go with a chunk, which is due to a fifth of them.
        scene.wish(Cadence::S2);
        scene.step();
        scene.until('m', "soon2000;");
        scene.wish(Cadence::S1);
        scene.step();
        for _ in 0..5 {
            scene.step();
        }
        for ear in &mut scene.ears {
            let told = |words: &str| ear.heard.matches(words).count();
            assert_eq!((told("soon2000;"), told("now1000;")), (1, 2), "{}", ear.heard);
            ear.heard = ear.heard.replace("soon2000;", "").replacen("now1000;", "", 1);
        }
    }
}
