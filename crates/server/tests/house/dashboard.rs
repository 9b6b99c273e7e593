//! The dashboard that is committed asks for numbers that a server really has.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::http::{ask, open};
use crate::server::{Server, until};

const DASHBOARD: &str = include_str!("../../../../docs/operate/grafana/hiwar.json");

/// What the dashboard has to show, and by which labels it has to be told apart: without one, the sum.
const SHOWN: [(&str, &[&str]); 22] = [
    // Arrivals, not requests: who waits asks again and again.
    ("hiwar_door_arrived_total", &[]),
    ("hiwar_worker_door_arrived_total", &["worker"]),
    ("hiwar_worker_joined_total", &["worker"]),
    ("hiwar_door_waiting", &[]),
    ("hiwar_door_waiting", &["class"]),
    ("hiwar_door_entered_total", &[]),
    ("hiwar_door_entered_total", &["class"]),
    ("hiwar_worker_door_entered_total", &["worker"]),
    ("hiwar_listeners", &[]),
    ("hiwar_worker_listeners_streams", &["worker"]),
    ("hiwar_turned_away_total", &[]),
    ("hiwar_worker_turned_away_total", &["worker"]),
    ("hiwar_door_away_total", &[]),
    ("hiwar_worker_door_away_total", &["worker"]),
    ("hiwar_level", &[]),
    ("hiwar_worker_level", &["worker"]),
    ("hiwar_worker_level_reason", &["reason"]),
    ("hiwar_worker_pressure", &["worker", "of"]),
    ("hiwar_door_kept_total", &["class"]),
    ("hiwar_door_late_total", &["class"]),
    ("hiwar_worker_door_kept_total", &["worker"]),
    ("hiwar_worker_door_late_total", &["worker"]),
];

/// Names of ours in a text, up to the first character that is in no name.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("hiwar_").map(|(at, _)| {
        let name = &text[at..];
        &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())]
    })
}

/// All expressions anywhere in it, with what they are asked by.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "expr" || key == "query" => found.push(text.clone()),
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// All lines of its panels: what is asked for, and what the line is called.
fn lines(dashboard: &Value) -> Vec<(&str, &str)> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.filter_map(|target| Some((target["expr"].as_str()?, target["legendFormat"].as_str()?))).collect()
}

/// Values of a label in `metric{… label="value" …}`.
fn labels<'t>(text: &'t str, label: &str) -> BTreeSet<&'t str> {
    let lead = format!("{label}=\"");
    text.match_indices(&lead).filter_map(|(at, _)| text[at + lead.len()..].split('"').next()).collect()
}

#[test]
fn every_number_of_the_dashboard_is_in_metrics_of_the_kind_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = folder.path().join("hiwar.toml");
    std::fs::write(&config, "[door]\nplaces = 5\n").expect("a disk");
    let config = config.to_str().expect("a path");
    let server = Server::start_with(&["--workers", "1", "--demo", "--config", config]);
    let mut ears = Vec::new();
    let metrics = until("somebody was let in at the door", || {
        // Until the door opens, whoever comes is told to come again.
        ears.push(open(server.public, "GET", "/listen/demo.mp4", &[], None));
        let text = ask(server.public, "GET", "/metrics", &[], &[]).text();
        let entered = text.lines().find_map(|line| line.strip_prefix("hiwar_door_entered_total{class=\"anybody\"} "));
        (entered? != "0").then_some(text)
    });
    let asked = metrics.lines().find_map(|line| line.strip_prefix("hiwar_door_asked_total ")).expect("asked");
    assert!(asked.parse::<u64>().expect("a number") >= 1, "{metrics}");
    let of_workers = |name: &str| {
        let lead = format!("hiwar_worker_door_{name}_total{{worker=\"");
        let of_worker = |line: &str| line.strip_prefix(&lead)?.split_once("\"} ")?.1.parse::<u64>().ok();
        metrics.lines().filter_map(of_worker).sum::<u64>()
    };
    assert!(of_workers("asked") >= 1 && of_workers("entered") >= 1, "{metrics}");
    assert_eq!([of_workers("kept"), of_workers("late")], [0, 0], "nobody was told a time: {metrics}");
    for told_a_time in ["hiwar_door_kept_total{class=\"anybody\"} 0", "hiwar_door_late_total{class=\"anybody\"} 0"] {
        assert!(metrics.lines().any(|line| line == told_a_time), "{told_a_time} is not in {metrics}");
    }
    let told = |name: &str| metrics.lines().any(|line| line.split(['{', ' ']).next() == Some(name));

    let mut found = Vec::new();
    expressions(&serde_json::from_str(DASHBOARD).expect("JSON"), &mut found);
    assert!(found.len() > 30, "{found:?}");
    let mut seen = 0;
    for expression in &found {
        for name in names(expression) {
            seen += 1;
            assert!(told(name), "{name}, of {expression}, is in no line of {metrics}");
            let is_rate = expression.contains("rate(");
            assert_eq!(metrics.contains(&format!("# TYPE {name} counter")), is_rate, "{expression}");
        }
        for of in labels(expression, "of") {
            assert!(metrics.contains(&format!("of=\"{of}\"")), "{expression}");
        }
    }
    assert!(seen > 30, "{found:?}");
    for (name, by) in SHOWN {
        let mut of_it = metrics.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        let has_labels = |line: &str| by.iter().all(|label| line.contains(&format!("{label}=\"")));
        assert!(of_it.any(has_labels), "{name} by {by:?} is not in {metrics}");
    }
}

#[test]
fn the_dashboard_shows_all_that_an_operator_is_to_see_by_class_and_by_worker() {
    let dashboard = serde_json::from_str(DASHBOARD).expect("JSON");
    let lines = lines(&dashboard);
    for (name, by) in SHOWN {
        let is_shown = lines.iter().any(|(expression, legend)| {
            let called: BTreeSet<_> = legend.split("{{").skip(1).filter_map(|label| label.split("}}").next()).collect();
            names(expression).any(|found| found == name) && called == by.iter().copied().collect()
        });
        assert!(is_shown, "no line shows {name} by {by:?}: {lines:?}");
    }
}
