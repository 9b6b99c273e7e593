//! What tickets cost a worker: time and memory, through the same desk that answers visitors.

use std::collections::HashMap;
use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hiwar_admission::Scope;
use hiwar_admission::door::counts::{CELLS, Counts};
use hiwar_admission::door::desk::{Answer, Desk, Entry, Memory, Phase, SERIALS, WINDOW, Word};
use hiwar_admission::door::draw::{DrawSecret, Tally};
use hiwar_admission::door::network::{NetworkKey, Turn};
use hiwar_admission::door::places::Grant;
use hiwar_admission::door::redemption::{IN_WORD, Redemption};
use hiwar_admission::door::ticket::{Class, Text, Ticket, TicketKey, Worth};
use hiwar_admission::door::timetable::{Outlook, Stays, Timetable};
use hiwar_rehearsal::launch::Chance;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many tickets
    #[arg(long, default_value_t = 1_000_000)]
    tickets: u64,
    /// How often: the median of so many runs counts
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Wrong on purpose: whoever issues a ticket keeps it in a list
    #[arg(long)]
    keep_list: bool,
}

const BEGINS: Duration = Duration::from_secs(1_800_000_000);
/// As long as a space's name is.
const SPACE: &str = "k3v9x2m4q7w1";

/// Cells in a line of a processor's cache: a mapping, as a worker has it, begins with one.
const LINE: usize = 16;

/// Counts that begin with a line.
struct Cells(Vec<AtomicU32>);

impl Cells {
    fn new() -> Self {
        Self(std::iter::repeat_with(AtomicU32::default).take(CELLS + LINE).collect())
    }

    fn counts(&self) -> Counts<'_> {
        let skipped = self.0.as_ptr().align_offset(LINE * size_of::<AtomicU32>());
        Counts::new(&self.0[skipped..skipped + CELLS], 0).expect("as many as are needed")
    }
}

/// One worker's half of a door.
struct Worker {
    cells: Cells,
    bits: Vec<AtomicU64>,
    desk: Desk,
    key: TicketKey,
    networks: NetworkKey,
    space: Scope,
    now: SystemTime,
    list: Option<HashMap<u64, Text>>,
}

impl Worker {
    fn new(tickets: u64, keep_list: bool) -> Self {
        let mut desk = Desk::new([4; 32]);
        desk.take_serials(1..tickets + 1);
        Self {
            cells: Cells::new(),
            bits: std::iter::repeat_with(AtomicU64::default).take((SERIALS / IN_WORD) as usize).collect(),
            desk,
            key: TicketKey::from_bytes([1; 32]),
            networks: NetworkKey::from_bytes([3; 32]),
            space: Scope::parse(SPACE).expect("a space's name"),
            now: UNIX_EPOCH + BEGINS,
            list: keep_list.then(HashMap::new),
        }
    }

    fn hear(&mut self, phase: Phase) {
        self.desk.hear(Word { phase, pace: u32::MAX, ..Word::default() });
    }

    /// People do not come back in the order in which they came.
    fn scattered(n: u64) -> u64 {
        // None has the serial 0.
        1 + n.wrapping_mul(0x9e37_79b1) % (SERIALS - 1)
    }

    /// Somebody comes: their networks, the counts of them, the lot, the ticket and its text.
    fn issue(&mut self, address: u32, chance: u32) -> Text {
        let Self { cells, bits, desk, key, networks, space, now, list } = self;
        let memory = Memory { counts: cells.counts(), redemption: Redemption::new(bits) };
        let from = networks.networks(IpAddr::V4(Ipv4Addr::from(address)));
        let Answer::Wait(ticket) = desk.arrive(*now, memory, &from, None, chance, Entry::Now) else {
            unreachable!("everybody is drawn, and there are serials");
        };
        let text = key.sign(space, &ticket);
        if let Some(list) = list {
            list.insert(ticket.serial, text);
        }
        text
    }

    /// Somebody shows a ticket; whether they are let in.
    fn check(&mut self, text: &[u8], chance: u32) -> Option<Answer> {
        let Self { cells, bits, desk, key, space, now, .. } = self;
        let memory = Memory { counts: cells.counts(), redemption: Redemption::new(bits) };
        let ticket = key.verify(space, text).ok()?;
        desk.present(*now, memory, ticket, chance, Entry::Now)
    }
}

fn address(chance: &mut Chance) -> u32 {
    chance.next() as u32
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Tickets issued and checked in a second, and what of it is BLAKE3.
pub(crate) fn tickets(options: &Options) -> Value {
    let count = options.tickets;
    let mut rates: HashMap<&str, Vec<f64>> = HashMap::new();
    for run in 0..options.runs {
        let mut rate = |of: &'static str, work: &mut dyn FnMut()| {
            let began = Instant::now();
            work();
            rates.entry(of).or_default().push(per_second(count, began.elapsed()));
        };
        let mut worker = Worker::new(2 * count, options.keep_list);
        worker.hear(Phase::Gathering { until: worker.now + WINDOW });
        let mut chance = Chance::new(run as u64);
        rate("issue", &mut || {
            for _ in 0..count {
                black_box(worker.issue(address(&mut chance), 7));
            }
        });
        // Whose time has come, each with a place.
        let ticket = |serial, worth| Ticket {
            serial,
            opening: 0,
            class: Class::Anybody,
            network: serial,
            due: worker.now,
            worth,
        };
        let place = Worth::Place { promised: Duration::from_secs(60) };
        let texts: Vec<Text> =
            (0..count).map(|n| worker.key.sign(&worker.space, &ticket(Worker::scattered(n), place))).collect();
        let drawn: Vec<Text> = (count..2 * count)
            .map(|n| worker.key.sign(&worker.space, &ticket(Worker::scattered(n), Worth::Draw(Turn::FIRST))))
            .collect();
        worker.hear(queue(worker.now, worker.desk.tally().clone()));
        worker
            .desk
            .take(worker.now, Grant { number: 1, more: u32::try_from(count).unwrap_or(u32::MAX), ..Grant::default() });
        rate("check", &mut || {
            for text in &texts {
                assert_eq!(black_box(worker.check(text, 7)), Some(Answer::Enter));
            }
        });
        // And whoever was drawn learns their time.
        rate("drawn", &mut || {
            for text in &drawn {
                let answer = worker.check(text, 7);
                assert!(matches!(answer, Some(Answer::Wait(_))));
                if let Some(Answer::Wait(ticket)) = answer {
                    black_box(worker.key.sign(&worker.space, &ticket));
                }
            }
        });
        parts(&worker, count, &mut rate);
        floors(count, &mut rate);
    }
    let of = |what: &str| median(rates[what].clone());
    let parts = ["networks", "count", "lot", "sign"].map(|part| (part, (1e9 / of(part)).round()));
    json!({
        "issue_ns_of": parts.into_iter().collect::<HashMap<_, _>>(),
        "issue_per_s": of("issue"), "check_per_s": of("check"), "drawn_per_s": of("drawn"),
        "issue_floor_per_s": of("issue floor"), "check_floor_per_s": of("check floor"),
        "tickets": count, "runs": rates,
    })
}

/// Does some work, and notes under a name how many a second that was.
type Rate<'r> = dyn FnMut(&'static str, &mut dyn FnMut()) + 'r;

/// What issuing is made of, one by one.
fn parts(worker: &Worker, count: u64, rate: &mut Rate<'_>) {
    let Worker { cells, key, networks, space, now, .. } = worker;
    let counts = cells.counts();
    let from = |chance: &mut Chance| networks.networks(IpAddr::V4(Ipv4Addr::from(address(chance))));
    let mut chance = Chance::new(9);
    rate("networks", &mut || (0..count).for_each(|_| _ = black_box(from(&mut chance))));
    let some: Vec<_> = (0..count).map(|_| from(&mut chance)).collect();
    rate("count", &mut || some.iter().for_each(|networks| _ = black_box(counts.count(networks))));
    let secret = DrawSecret::from_bytes([5; 32]);
    rate("lot", &mut || (0..count).for_each(|n| _ = black_box(secret.lot(n, Turn::FIRST))));
    let ticket = |serial| Ticket {
        serial,
        opening: 0,
        class: Class::Anybody,
        network: serial,
        due: *now,
        worth: Worth::Rank(serial),
    };
    rate("sign", &mut || (0..count).for_each(|n| _ = black_box(key.sign(space, &ticket(n)))));
}

/// The least that it could be: keyed BLAKE3 of as many bytes, and nothing else.
fn floors(count: u64, rate: &mut Rate<'_>) {
    let key = [9; 32];
    let hash = |bytes: &mut [u8], n: u64| {
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        black_box(blake3::keyed_hash(&key, bytes));
    };
    let mut mac = vec![0; 38 + 1 + SPACE.len()];
    let mut network = [0; 17];
    rate("issue floor", &mut || {
        for n in 0..count {
            hash(&mut network, n);
            hash(&mut mac, n);
        }
    });
    rate("check floor", &mut || (0..count).for_each(|n| hash(&mut mac, n)));
}

fn queue(now: SystemTime, drawn: Tally) -> Phase {
    let stays = Stays::default();
    let table = Timetable::of(&Outlook { now, first: 0, places: 19_000, inside: &[19_000.0], pace: 2_000, stays });
    Phase::Queue { drawn, table, late: 0, per_minute: 1_000, spare: 0 }
}

/// What the process has in memory, in bytes: proc(5).
fn resident() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or(io::ErrorKind::NotFound)?;
    let kb = line.trim().trim_end_matches(" kB").parse::<u64>().map_err(io::Error::other)?;
    Ok(1024 * kb)
}

/// What a door has in memory after so many tickets were issued, each to another address, and used.
pub(crate) fn memory(options: &Options) -> io::Result<Value> {
    // What the code itself needs is there before.
    black_box(DrawSecret::from_bytes([1; 32]));
    small(&mut Worker::new(64, false));
    let before = resident()?;
    let mut worker = Worker::new(options.tickets + 1, options.keep_list);
    worker.hear(Phase::Gathering { until: worker.now + WINDOW });
    let mut chance = Chance::new(1);
    let mut used = 0u64;
    for n in 0..options.tickets {
        let text = worker.issue(address(&mut chance), n as u32);
        let mut ticket = worker.key.verify(&worker.space, &text).expect("what was issued is good");
        // As it is when its time has come.
        (ticket.worth, ticket.due) = (Worth::Place { promised: WINDOW }, worker.now);
        let text = worker.key.sign(&worker.space, &ticket);
        worker.desk.take(worker.now, Grant { number: n + 1, more: 1, ..Grant::default() });
        used += u64::from(worker.check(&text, n as u32) == Some(Answer::Enter));
    }
    let after = resident()?;
    assert_eq!(used, options.tickets, "each was used");
    let kept = worker.list.as_ref().map_or(0, HashMap::len);
    Ok(
        json!({"bytes": after.saturating_sub(before), "tickets": options.tickets, "issued": worker.desk.tally().total(), "kept": kept}),
    )
}

fn small(worker: &mut Worker) {
    worker.hear(Phase::Gathering { until: worker.now + WINDOW });
    black_box(worker.issue(1, 1));
}
