//! Nothing comes for a while, and the network loses what the kernel sends meanwhile.

use std::time::{Duration, Instant};

use hiwar_delivery::http::Access;
use socket2::{SockFilter, SockRef};

use crate::rig::Rig;

/// Longer than it takes to lose some probes, and, if one were enough, to be ended by it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Classic BPF, `ret 0`: nothing of a packet is let through.
const DROP_ALL: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];

/// Probes of a connection between these ports that are not answered, as the kernel of the first has it (proc_net_tcp: `timeout`); `None`: it is no more.
fn unanswered_probes(from: u16, to: u16) -> Option<u32> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let [here, there] = [from, to].map(|port| format!(":{port:04X}"));
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_ours = |at: &Vec<&str>| at.len() > 8 && at[1].ends_with(&here) && at[2].ends_with(&there) && at[3] == "01";
    let mut ours = fields.filter(is_ours);
    ours.next()?.get(8)?.parse().ok()
}

#[test]
fn who_listens_to_silence_outlives_the_loss_of_several_probes() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut client = rig.client();
    client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.chunks("demo", 0..1);
    client.hear_until("m0;");
    // The last that is written for now. What is written is sent again until it arrives; a probe is not.
    client.hear_until("away;");
    let port = client.0.local_addr().expect("an address").port();
    let server = client.0.peer_addr().expect("an address").port();
    let until = |what: &str, so: &dyn Fn(u32) -> bool| {
        let end = Instant::now() + PATIENCE;
        loop {
            // While others come and go a line of the table may be passed over.
            let look = || unanswered_probes(server, port);
            let probes = look().or_else(look).or_else(look).expect("the server has ended the connection");
            if so(probes) {
                return;
            }
            assert!(Instant::now() < end, "waited too long: {what}");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    };
    SockRef::from(&client.0).attach_filter(&DROP_ALL).expect("a filter");
    until("two probes are lost", &|probes| probes >= 2);
    SockRef::from(&client.0).detach_filter().expect("no filter");
    until("one is answered", &|probes| probes == 0);
    rig.chunks("demo", 1..2);
    client.hear_until("m1;");
    assert_eq!(rig.listening("demo"), 1);
}
