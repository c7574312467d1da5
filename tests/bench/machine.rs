//! What a run ran on.

use crate::peers::PEERS;
use crate::shell::Shell;

/// Prints the machine, and which tools are there in which version.
pub(crate) fn describe(shell: &Shell) {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".into(), |(_, value)| value.trim().to_owned())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or(0.0);
    println!(
        "{}, {} threads, {:.0} GiB of memory; load {}; {}\n",
        field(&read("/proc/cpuinfo"), "model name"),
        std::thread::available_parallelism().map_or(0, usize::from),
        kib / 1048576.0,
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
        shell.ask("date -u +%Y-%m-%d").unwrap_or_default(),
    );
    for peer in PEERS {
        let said = shell.ask(peer.probe);
        let line = said.as_deref().and_then(|said| said.lines().next());
        println!("- {}: {}", peer.name, line.unwrap_or("MISSING, left out"));
    }
    println!();
}
