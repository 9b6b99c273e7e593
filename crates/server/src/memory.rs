//! How much memory is taken: of what this machine has, and of what this service may have of it.

use std::fs;

/// What the kernel says of the machine.
const MACHINE: &str = "/proc/meminfo";
/// Where the kernel says to which group of processes this one belongs.
const GROUP: &str = "/proc/self/cgroup";
/// Below it lie those groups (version 2).
const GROUPS: &str = "/sys/fs/cgroup";

/// The part that is taken, in thousandths: of the machine's, or of the service's if that is nearer to its end. 0 where nothing is known.
pub fn taken() -> u32 {
    let machine = fs::read_to_string(MACHINE).ok().and_then(|text| of_machine(&text));
    machine.max(of_group()).unwrap_or(0)
}

fn of_group() -> Option<u32> {
    let groups = fs::read_to_string(GROUP).ok()?;
    let name = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let number =
        |file: &str| -> Option<u64> { fs::read_to_string(format!("{GROUPS}{name}/{file}")).ok()?.trim().parse().ok() };
    // Without a limit it says "max". What could be taken back at once is not taken.
    let statistics = fs::read_to_string(format!("{GROUPS}{name}/memory.stat")).ok()?;
    let idle = statistics.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse().ok()).unwrap_or(0);
    part(number("memory.current")?.saturating_sub(idle), number("memory.max")?)
}

fn of_machine(text: &str) -> Option<u32> {
    let kilobytes = |name: &str| -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        rest.trim().strip_suffix(" kB")?.parse().ok()
    };
    let (all, free) = (kilobytes("MemTotal")?, kilobytes("MemAvailable")?);
    part(all.saturating_sub(free), all)
}

fn part(taken: u64, of: u64) -> Option<u32> {
    let thousandths = u128::from(taken) * 1_000 / u128::from(of.max(1));
    u32::try_from(thousandths).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_a_machine_is_read() {
        let text = "MemTotal:        4000000 kB\nMemFree:          100000 kB\nMemAvailable:    1000000 kB\n";
        assert_eq!(of_machine(text), Some(750));
        assert_eq!(of_machine("MemTotal: 4 MB\n"), None);
        assert_eq!(of_machine(""), None);
        assert_eq!(part(5, 0), Some(5_000));
    }

    #[test]
    fn of_this_machine_something_is_taken_and_not_more_than_all() {
        assert!((1..=1_000).contains(&taken()), "{}", taken());
    }
}
