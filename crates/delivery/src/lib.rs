//! Listeners over HTTP.
//!
//! A worker is one thread that owns its listeners: it accepts, reads request heads, answers what it has, and writes every chunk of a
//! log to everyone who hears it. Sound and people are unknown here: a log has renditions with a name and a MIME type, a document has
//! a path, a pass has a key. It asks nobody: what it needs comes as [`http::Update`]s, what it cannot answer goes to the house.
//!
//! * [`request`] one head, read strictly · [`answer`] request × site → answer · [`range`] parts of files · [`clip`] parts of recordings · [`problem`] refusals · [`proxy`] whose request it is
//! * [`tail`] the newest chunks of a log · [`fanout`] who is due, who is behind · [`shed`] limits and deadlines
//! * [`window`] what HLS lists of a log · [`playlist`] how it says so, [`rewind`] hours of it, [`coding`] compressed · [`hls`] what is asked of it, and what must wait
//! * [`audience`] who hears it, in numbers
//! * [`http`] sockets, files, epoll and threads, and nowhere else

pub mod answer;
pub mod audience;
pub mod clip;
pub mod coding;
mod door;
pub mod fanout;
pub mod head;
pub mod hls;
pub mod http;
pub mod playlist;
pub mod problem;
pub mod proxy;
pub mod range;
pub mod request;
pub mod rewind;
pub mod shed;
pub mod tail;
pub mod window;
