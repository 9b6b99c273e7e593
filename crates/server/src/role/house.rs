//! The house: composition root of the studio, the registry of spaces and the API.
//!
//! Order of starting: keys, live bus, studio, registry (spaces that were live go on), API, demo. Each needs the ones
//! before it; the API comes late so that nobody is answered by half a house, and only then are the workers told that
//! they have heard of everything there is.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::RawFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use hiwar_admission::door::seal::SealKey;
use hiwar_engine::live_bus::{Down, Hub};

use super::{demo, greet, keys};
use crate::api;
use crate::certificates::{Certificates, Start};
use crate::config::{Config, host};
use crate::disk;
use crate::door;
use crate::inherit::adopt;
use crate::ladder::{self, Ladders};
use crate::listening::Wishes;
use crate::registry::Registry;
use crate::studio::{self, Studio};

/// How often programmes that nobody needs are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// How long answers under way may take when the house ends; creating and ending a space take a fraction of it.
const ANSWERS_WAIT: Duration = Duration::from_secs(1);
/// How long the disk may take for what was aired before the end.
const DISK_WAIT: Duration = Duration::from_secs(2);
/// How long what the disk is still busy with may take after that. With the two above less than the supervisor waits before it kills.
const WRITES_WAIT: Duration = Duration::from_millis(200);

/// What the supervisor handed over.
pub struct Inherited {
    pub api: RawFd,
    pub bus: RawFd,
    pub shards: Vec<(RawFd, RawFd)>,
    pub greet: bool,
    /// Somebody asked for this start.
    pub by_hand: bool,
    pub fresh: bool,
    /// Workers that are there or being started, older ones included.
    pub workers: usize,
    /// Processes of those older ones.
    pub elders: Vec<i32>,
}

/// Above the crowd workers, whatever they are asked to do; the beat itself goes higher still. Threads inherit it.
const NICE: i32 = -10;

/// Runs until the process is told to end.
pub fn run(config: Config, inherited: Inherited) -> Result<(), String> {
    if let Err(why) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!("the house shares the processor with the crowd as equals: {why}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|why| format!("cannot start: {why}"))?;
    let outcome = runtime.block_on(live(config, inherited));
    // What is being written is written; a disk that hangs, or that is long at removing something, does not hold the end.
    runtime.shutdown_timeout(WRITES_WAIT);
    outcome
}

async fn live(config: Config, inherited: Inherited) -> Result<(), String> {
    let say = |what: &'static str| move |why: std::io::Error| format!("{what}: {why}");
    let listen_keys = keys::load_or_make_pair(&config.data).map_err(say("no listening key"))?;
    let stage_key = keys::load_or_make(&config.data, keys::STAGE).map_err(say("no stage key"))?;
    let keys = api::Keys::new(&listen_keys, stage_key);
    let seal = SealKey::from_bytes(&stage_key);

    let bus: UnixListener = adopt(inherited.bus).map_err(say("no live bus"))?;
    let (hub, reports) = Hub::spawn(bus).map_err(say("no live bus"))?;
    let shards = inherited.shards.iter().map(|(udp, tcp)| {
        let udp: UdpSocket = adopt(*udp)?;
        let candidate = SocketAddr::new(config.media_address, udp.local_addr()?.port());
        Ok(studio::Ports { udp, tcp: adopt(*tcp)?, candidate })
    });
    let spaces = config.data.join("spaces");
    let (studio, happened) = Studio::start(studio::Setup {
        shards: shards.collect::<std::io::Result<_>>().map_err(say("no WebRTC socket"))?,
        spaces: spaces.clone(),
        publisher: hub.publisher(),
        workers: inherited.workers,
    })
    .map_err(say("no studio"))?;

    let counting = studio.clone();
    let doors = config.door.map(|door| {
        let awaited = door::Awaited::new(inherited.workers, &inherited.elders);
        door::start(door, awaited, spaces.clone(), studio.clone(), hub.publisher(), seal.clone())
    });
    let (doors, at_doors) = doors.transpose().map_err(say("no thread"))?.unzip();
    std::thread::Builder::new()
        .name("reports".into())
        .spawn(move || {
            for report in reports {
                if let Some(doors) = doors.as_ref().filter(|_| door::concerns(&report)) {
                    // Waits while they have no room: who comes and goes must not be missed.
                    let _ = doors.send(report.clone());
                }
                counting.reported(report);
            }
        })
        .map_err(say("no thread"))?;

    let with_demo = config.demo.unwrap_or(inherited.fresh || demo::is_there(&config.data));
    if !with_demo {
        demo::forget(&config.data).map_err(say("cannot remove the demo"))?;
    }
    let (public_origin, stage_origin) = (config.public_origin(), config.stage_origin());
    let hls_base = config.hls.as_ref().map(|hls| hls.base.clone());
    let (template, policy) = crate::assets::page_template(hls_base.as_deref());
    let is_here = config.hls.as_ref().is_none_or(|hls| hls.here.is_some());
    let hls_asked_by = if is_here { api::AskedBy::Players } else { api::AskedBy::Caches };
    let settings =
        api::Settings { public_origin: public_origin.clone(), stage_origin, template, policy, hls_base, hls_asked_by };
    let registry = Registry::open(spaces.clone(), studio.clone(), settings.clone(), happened)
        .await
        .map_err(|why| format!("cannot read the spaces: {why}"))?;

    let api: UnixListener = adopt(inherited.api).map_err(say("no API socket"))?;
    api.set_nonblocking(true).map_err(say("no API socket"))?;
    let api = tokio::net::UnixListener::from_std(api).map_err(say("no API socket"))?;
    let start = if inherited.by_hand { Start::ByHand } else { Start::Again };
    let certificates = Certificates::start(&config, start);
    let disk = disk::Watch::new(&config.data, config.disk);
    tokio::spawn(disk.clone().run());
    let listening = Wishes::start(&config.data, config.listening, hub.publisher());
    let (ladders, bell) = Ladders::start(&config.data, hub.publisher(), at_doors.clone());
    let around = ladder::Around { studio: studio.clone(), registry: registry.clone(), disk: disk.clone() };
    ladders.watch(bell, around).map_err(say("no thread"))?;
    let router = api::router(api::Api {
        registry: registry.clone(),
        studio: studio.clone(),
        keys: keys.clone(),
        settings,
        certificates,
        disk,
        listening,
        ladders,
        at_doors,
        draws: api::Draws { spaces, key: seal.public() },
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(api, router).with_graceful_shutdown(async move {
        let _ = stopped.await;
    });
    let mut serving = tokio::spawn(serving.into_future());

    if with_demo && let Err(why) = demo::start(&studio, &registry).await {
        tracing::error!("no demo: {why}");
    }
    hub.publisher().publish(Down::Whole);
    tokio::spawn(registry.clone().retain(config.retention));
    if inherited.greet {
        greet::print(&config, &keys);
        if let Some(host) = config.host.clone() {
            // Not of the runtime: names may take long, and an end does not wait for them.
            let look = move || host::doubt(&host, config.media_address);
            std::thread::Builder::new().name("name".into()).spawn(look).map_err(say("no thread"))?;
        }
    }

    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(say("no signals"))?;
    let mut interrupt =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(say("no signals"))?;
    let mut hangup =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map_err(say("no signals"))?;
    let mut tidy = tokio::time::interval(TIDY_EVERY);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            // The terminal sends it to everyone; the supervisor decides.
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = tidy.tick() => studio.tidy(),
        }
    }
    // First who asks: what was begun is finished while sound goes on, and what comes now waits in the socket for the next house.
    let _ = stop.send(());
    registry.dismiss_watchers();
    if tokio::time::timeout(ANSWERS_WAIT, &mut serving).await.is_err() {
        serving.abort();
    }
    if tokio::time::timeout(DISK_WAIT, studio.leave()).await.is_err() {
        tracing::warn!("the disk took too long; what it lacks, the workers have");
    }
    hub.publisher().publish(Down::Leaving);
    drop(hub);
    Ok(())
}
