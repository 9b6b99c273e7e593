//! The whole of Hiwar from outside: the real binary, real sockets, speakers and listeners that share no code with it.
//!
//! Each test starts its own server in a directory of its own with ports that the kernel picks. Nothing here sleeps to let
//! something happen: every wait ends when it has happened, and fails after [`server::PATIENCE`].

#[path = "../../../rtc/tests/client/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of `rtc`, which use all of it")]
mod client;
mod ear;
#[path = "../../src/role/rehearse/grant.rs"]
#[allow(unreachable_pub, dead_code, reason = "of the program: what a generator asks before it begins")]
mod grant;
mod http;
mod mouth;
#[path = "../../src/outgoing.rs"]
#[allow(unreachable_pub, reason = "of the program: `grant` needs it")]
mod outgoing;
mod page;
mod pebble;
mod server;
mod tls;

mod admin;
mod audience;
mod certificates;
mod clips;
mod conversation;
mod crash;
mod dashboard;
mod data;
mod demo;
mod disk;
mod door;
mod examples;
mod export;
mod hls;
mod hls_name;
mod hold;
mod keys;
mod ladder;
mod lean;
mod loss;
mod proxies;
mod radio;
mod reactions;
mod refusals;
mod rehearsal;
mod rehearse;
mod restart;
mod retention;
mod review;
mod secure;
mod shards;
mod stage;
mod supervisor;
mod whip;
mod wings;
mod withdrawal;
