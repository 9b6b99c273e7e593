//! The web app inside the binary, as documents that the workers serve.

use bytes::Bytes;
use hiwar_engine::live_bus::Document;

use crate::config::hls;

/// `web/dist` as it was at build time: (path below it, bytes).
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));
/// Served where the web app was not built.
static PLACEHOLDER: &[u8] = include_bytes!("../assets/placeholder.html");

/// Documents by the path under which they are served: `/`, `/assets/…` and what else lies in `web/dist`.
///
/// Pages may fetch and play from `hls_base`, too.
pub fn documents(hls_base: Option<&str>) -> impl Iterator<Item = (String, Document)> {
    let index = file("index.html")
        .is_none()
        .then(|| (String::from("/"), document("index.html", Bytes::from_static(PLACEHOLDER), None, None)));
    let files = FILES.iter().filter(|(name, _)| is_served(name)).map(move |(name, bytes)| {
        let path = if *name == "index.html" { String::from("/") } else { format!("/{name}") };
        let brotli = file(&format!("{name}.br")).map(Bytes::from_static);
        (path, document(name, Bytes::from_static(bytes), brotli, policy(name, hls_base)))
    });
    index.into_iter().chain(files)
}

/// The template of a space's page, and its content security policy.
pub fn page_template(hls_base: Option<&str>) -> (&'static str, Option<String>) {
    let bytes = file("page.html").unwrap_or(PLACEHOLDER);
    (std::str::from_utf8(bytes).expect("pages are UTF-8"), policy("page.html", hls_base))
}

fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(n, _)| *n == name).map(|(_, bytes)| *bytes)
}

/// A page's content security policy lies beside it: `index.html` → `index.csp`.
fn policy(name: &str, hls_base: Option<&str>) -> Option<String> {
    let text = file(&format!("{}.csp", name.strip_suffix(".html")?))?;
    let text = std::str::from_utf8(text).ok()?.trim();
    Some(hls_base.map_or_else(|| text.to_owned(), |base| hls::allow(text, base)))
}

fn is_served(name: &str) -> bool {
    name != "page.html" && !name.ends_with(".br") && !name.ends_with(".csp")
}

fn document(name: &str, body: Bytes, brotli: Option<Bytes>, policy: Option<String>) -> Document {
    // Names under assets/ carry a hash of their content.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    Document {
        mime: mime(name).into(),
        etag: format!("\"{:08x}-{:x}\"", crc(&body), body.len()),
        cache: cache.into(),
        policy,
        body,
        brotli,
        as_of_ms: None,
    }
}

/// FNV-1a: names a version of a file that we built ourselves; nobody gains from a collision.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn mime(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "ftl" | "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
