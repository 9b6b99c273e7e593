//! A worker on a real socket, driven byte by byte.

mod audience;
mod bitrate;
mod cadence;
mod compressed;
mod documents;
mod door;
mod exhausted;
mod forwarding;
mod going;
mod hls;
mod hostile;
mod hostile_tls;
mod http2;
mod listening;
mod newcomers;
mod proxies;
mod reactions;
mod recordings;
mod rewinding;
mod rig;
mod scene;
mod secure;
mod silence;
