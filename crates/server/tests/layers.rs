//! Who may depend on whom, and what each crate never touches: the rules of ARCHITECTURE.md, held against the code.
//!
//! A new edge or a new place for I/O needs an entry here and a decision record in `docs/adr`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What one crate may use.
struct Layer {
    name: &'static str,
    /// Crates of ours that it may depend on.
    needs: &'static [&'static str],
    world: World,
}

/// Where a crate may meet clocks, sockets, files, threads and locks.
#[derive(PartialEq)]
enum World {
    /// Nowhere: a PURE crate.
    Nowhere,
    /// Only in this folder of its `src`.
    In(&'static str),
    Anywhere,
}

const EVERY_CRATE: &[&str] = &["media", "space", "admission", "segment-log", "engine", "rtc", "delivery", "rehearsal"];
/// What a cast may use: everything but what it stands before.
const ALL_BUT_SERVER: &[&str] = &["media", "space", "admission", "segment-log", "engine", "rtc", "delivery"];

#[rustfmt::skip]
const LAYERS: &[Layer] = &[
    Layer { name: "media",       needs: &[],                           world: World::Nowhere },
    Layer { name: "space",       needs: &[],                           world: World::Nowhere },
    Layer { name: "admission",   needs: &[],                           world: World::Nowhere },
    Layer { name: "segment-log", needs: &[],                           world: World::In("disk") },
    Layer { name: "engine",      needs: &["segment-log"],              world: World::In("embedded") },
    Layer { name: "rtc",         needs: &["media"],                    world: World::In("udp") },
    Layer { name: "delivery",    needs: &["admission", "segment-log"], world: World::In("http") },
    Layer { name: "rehearsal",   needs: ALL_BUT_SERVER,               world: World::In("live") },
    Layer { name: "server",      needs: EVERY_CRATE,                   world: World::Anywhere },
];

/// What only the world has. Plain types that merely name something (`SocketAddr`, `Instant`) are not the world.
const WORLD: &[&str] = &[
    "rustix::",
    "libc::",
    "tokio::",
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "ToSocketAddrs",
    "Instant::now",
    "SystemTime::now",
    ".elapsed()",
    "thread::spawn",
    "thread::sleep",
    "thread::Builder",
    "Mutex",
    "RwLock",
    "Condvar",
    "getrandom",
    "OsRng",
    "std::env",
    "std::process",
];

/// What every pure crate's own clippy.toml has to forbid.
const FORBIDDEN_IN_PURE: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::env::var",
    "std::fs::File",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os::unix::net::UnixStream",
    "std::sync::Mutex",
    "std::sync::RwLock",
];

#[test]
fn crates_depend_only_on_the_layers_they_may() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");

    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = ours(package["name"].as_str().expect("name")).expect("every member is called hiwar-…");
        let layer = LAYERS.iter().find(|layer| layer.name == name);
        let layer = layer.unwrap_or_else(|| panic!("the crate {name} has no layer: add it to LAYERS and write an ADR"));
        seen.insert(layer.name);
        // Dependencies of tests count too: a test that needs an upper layer belongs there.
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let Some(needed) = ours(dependency["name"].as_str().expect("name")) else { continue };
            assert!(
                layer.needs.contains(&needed),
                "{name} may not depend on {needed} (ARCHITECTURE.md: nothing below calls up)"
            );
        }
    }
    let expected: BTreeSet<_> = LAYERS.iter().map(|layer| layer.name).collect();
    assert_eq!(seen, expected, "a layer without a crate");
}

#[test]
fn a_pure_crate_is_linted_against_clocks_sockets_files_threads_and_locks() {
    for layer in LAYERS.iter().filter(|layer| layer.world == World::Nowhere) {
        let path = root().join("crates").join(layer.name).join("clippy.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for forbidden in FORBIDDEN_IN_PURE {
            assert!(text.contains(&format!("\"{forbidden}\"")), "{} does not forbid {forbidden}", path.display());
        }
    }
}

#[test]
fn a_crate_meets_the_world_only_in_its_io_folder() {
    let mut wrong = Vec::new();
    for layer in LAYERS {
        let source = root().join("crates").join(layer.name).join("src");
        let io = match layer.world {
            World::Anywhere => continue,
            World::In(folder) => Some(source.join(folder)),
            World::Nowhere => None,
        };
        for file in rust_files(&source) {
            // A program of a crate's own is where its parts meet the world.
            let program = file.starts_with(source.join("bin"));
            if io.as_ref().is_some_and(|io| file.starts_with(io)) || program || is_test(&file) {
                continue;
            }
            for (number, line) in product_lines(&file) {
                wrong.extend(
                    WORLD
                        .iter()
                        .filter(|word| line.contains(*word))
                        .map(|word| format!("{}:{number}: {word}", relative(&file))),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "outside the I/O folder of its crate:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_only_in_files_that_architecture_names() {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for file in LAYERS.iter().flat_map(|layer| rust_files(&root().join("crates").join(layer.name).join("src"))) {
        let allowed = product_lines(&file).into_iter().any(|(_, line)| line.contains("(unsafe_code"));
        let name = relative(&file);
        assert!(
            !allowed || architecture.contains(&name),
            "{name} holds unsafe code, and ARCHITECTURE.md does not say so"
        );
    }
}

#[test]
fn no_source_file_is_longer_than_800_lines() {
    for file in LAYERS.iter().flat_map(|layer| rust_files(&root().join("crates").join(layer.name))) {
        let lines = std::fs::read_to_string(&file).expect("a source file").lines().count();
        assert!(lines <= 800, "{}: {lines} lines; look for the second noun (STYLE.md)", relative(&file));
    }
}

/// The lines that are neither comments nor in a `#[cfg(test)]` module at the end of the file, with their numbers.
fn product_lines(file: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(file).expect("a source file");
    let lines: Vec<_> = text.lines().collect();
    let end =
        lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{')).unwrap_or(lines.len());
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    lines[..end].iter().enumerate().map(|(index, line)| (index + 1, code(line))).collect()
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests") || file.file_name().is_some_and(|name| name == "tests.rs")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn relative(file: &Path) -> String {
    file.strip_prefix(root()).expect("a file of the repository").display().to_string()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/server lies two folders down").to_owned()
}

fn ours(name: &str) -> Option<&str> {
    name.strip_prefix("hiwar-")
}
