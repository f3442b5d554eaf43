//! One round of one peer, and everything that a run has seen.

use super::crossing;
use super::machine::{Times, load_average};
use super::open::open;
use super::process::Running;
use super::schedule::Latencies;
use super::statistics::{Figure, OTHERS, Spread, counted, paired, percentile, spread};
use super::wire::{Ask, Load, Outcome};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;

/// What the machine did besides.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(crate) struct Noise {
    /// Share of all CPU time that others used or that was stolen.
    pub(crate) others: f64,
    pub(crate) load_average_before: f64,
    pub(crate) disturbed: bool,
}

/// A round in which 32 connections ask as fast as they are answered.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Capacity {
    pub(crate) round: usize,
    pub(crate) per_second: f64,
    pub(crate) cpu_micros: f64,
    /// Share of its CPU that the proxy used: below 1, load or upstream were slower.
    pub(crate) busy: f64,
    pub(crate) load_micros: f64,
    pub(crate) upstream_micros: f64,
    pub(crate) resident_kib: u64,
    pub(crate) reconnects: u64,
    /// Slices that were left out, for the CPUs were far from each other; none where it was not
    /// looked.
    pub(crate) left_out: Option<u32>,
    /// The longest way between the CPUs, ns, at the ends of the slices that are its figures.
    pub(crate) crossing_nanos: Option<u64>,
    pub(crate) noise: Noise,
}

/// A round at a fixed rate; latencies from when requests were due, µs.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Timed {
    pub(crate) round: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// The turns that are left out of these; `None` in runs of before, which counted all.
    pub(crate) left_out: Option<LeftOut>,
    pub(crate) noise: Noise,
}

/// What turns that the load came late to make of a round.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
pub(crate) struct LeftOut {
    /// Share of the requests.
    pub(crate) share: f64,
    /// p99 of all requests, these too.
    pub(crate) p99_of_all: f64,
}

impl LeftOut {
    /// Whether that is most of a round: then all of it counts.
    pub(crate) fn is_most(&self) -> bool {
        self.share > 0.5
    }
}

impl Timed {
    /// Turns that do not count are left out, unless that are most: then all count, and the round
    /// is disturbed.
    fn of(round: usize, latencies: Latencies, mut noise: Noise) -> Self {
        let Latencies { counted, left_out } = latencies;
        let mut all = [&counted[..], &left_out[..]].concat();
        let share = left_out.len() as f64 / all.len().max(1) as f64;
        let micros =
            |latencies: &mut Vec<Duration>, share| percentile(latencies, share).as_secs_f64() * 1e6;
        let p99_of_all = micros(&mut all, 0.99);
        let left_out = LeftOut { share, p99_of_all };
        let mut counted = if left_out.is_most() { all } else { counted };
        noise.disturbed |= left_out.is_most();
        Self {
            round,
            p50: micros(&mut counted, 0.5),
            p99: micros(&mut counted, 0.99),
            p999: micros(&mut counted, 0.999),
            left_out: Some(left_out),
            noise,
        }
    }
}

/// All rounds of a peer in a scenario.
#[derive(Serialize, Deserialize, Default, Clone)]
pub(crate) struct Cell {
    pub(crate) peer: String,
    pub(crate) scenario: String,
    pub(crate) capacity: Vec<Capacity>,
    pub(crate) timed: Vec<Timed>,
}

impl Cell {
    /// A figure over the rounds of capacity that count.
    pub(crate) fn of(&self, figure: impl Fn(&Capacity) -> f64) -> Option<Spread> {
        let rounds = counted(&self.capacity, |round| round.noise.disturbed);
        spread(rounds.into_iter().map(figure))
    }

    /// A figure over the rounds at a fixed rate that count.
    pub(crate) fn at_rate(&self, figure: impl Fn(&Timed) -> f64) -> Option<Spread> {
        let rounds = counted(&self.timed, |round| round.noise.disturbed);
        spread(rounds.into_iter().map(figure))
    }

    /// CPU per request as a share of another's, round by round.
    pub(crate) fn ratio(&self, other: &Self) -> Option<Spread> {
        paired(&self.costs(), &other.costs(), |own, other| own / other)
    }

    /// CPU per request beyond another's, µs, round by round.
    pub(crate) fn beyond(&self, other: &Self) -> Option<Spread> {
        paired(&self.costs(), &other.costs(), |own, other| own - other)
    }

    /// The latency that 99 of 100 requests do not exceed, as a share of another's, round by round.
    pub(crate) fn p99_ratio(&self, other: &Self) -> Option<Spread> {
        let of = |cell: &Self| cell.timed_figures(|round| Some(round.p99));
        paired(&of(self), &of(other), |own, other| own / other)
    }

    /// The same of all requests, those too that do not count; `None` of runs of before.
    pub(crate) fn p99_of_all_ratio(&self, other: &Self) -> Option<Spread> {
        let of = |cell: &Self| cell.timed_figures(|round| Some(round.left_out?.p99_of_all));
        paired(&of(self), &of(other), |own, other| own / other)
    }

    fn costs(&self) -> Vec<Figure> {
        let rounds = self.capacity.iter();
        let costs = rounds.map(|one| figure(one.round, one.cpu_micros, one.noise));
        costs.collect()
    }

    fn timed_figures(&self, of: impl Fn(&Timed) -> Option<f64>) -> Vec<Figure> {
        let rounds = self.timed.iter();
        let figures = rounds.filter_map(|one| Some(figure(one.round, of(one)?, one.noise)));
        figures.collect()
    }
}

fn figure(round: usize, value: f64, noise: Noise) -> Figure {
    Figure {
        round,
        value,
        disturbed: noise.disturbed,
    }
}

/// What took part in a round, and its CPU time before.
struct Watch<'a> {
    proxies: &'a [&'a Running],
    upstream: &'a Running,
    times: Times,
    cpu: [Duration; 3],
}

impl<'a> Watch<'a> {
    fn start(proxies: &'a [&'a Running], upstream: &'a Running) -> io::Result<Self> {
        let cpu = Self::cpu(proxies, upstream)?;
        Ok(Self {
            proxies,
            upstream,
            times: Times::now()?,
            cpu,
        })
    }

    /// Of the proxies, the upstream and the load.
    fn cpu(proxies: &[&Running], upstream: &Running) -> io::Result<[Duration; 3]> {
        Ok([
            proxies.iter().map(|proxy| proxy.cpu()).sum(),
            upstream.cpu(),
            crate::processes::cpu_of("self")?,
        ])
    }

    /// CPU time that was used, in seconds, and the share that others had.
    fn end(&self) -> io::Result<([f64; 3], f64)> {
        let (times, now) = (Times::now()?, Self::cpu(self.proxies, self.upstream)?);
        let mut used = [0.0; 3];
        for (used, (now, before)) in used.iter_mut().zip(now.iter().zip(&self.cpu)) {
            *used = now.saturating_sub(*before).as_secs_f64();
        }
        Ok((used, self.times.others(times, used.iter().sum())))
    }
}

/// A round is measured in slices, of which none is shorter: the kernel counts CPU time in
/// hundredths of a second.
const SLICE: Duration = Duration::from_millis(750);
/// So many times as many slices are tried as a round has, to find enough that count.
const TRIES: u32 = 3;

/// Slices of a round, together.
#[derive(Default)]
struct Slices {
    count: u32,
    requests: u64,
    reconnects: u64,
    took: f64,
    /// Of proxy, upstream and load, in seconds.
    used: [f64; 3],
    others: f64,
    crossing_nanos: u64,
}

impl Slices {
    fn add(&mut self, outcome: &Outcome, used: [f64; 3], others: f64, crossing_nanos: u64) {
        self.count += 1;
        self.requests += outcome.requests;
        self.reconnects += outcome.reconnects;
        self.took += outcome.took.as_secs_f64();
        for (sum, used) in self.used.iter_mut().zip(used) {
            *sum += used;
        }
        self.others = self.others.max(others);
        self.crossing_nanos = self.crossing_nanos.max(crossing_nanos);
    }
}

/// As fast as it goes. Only slices count at whose both ends the CPUs were near each other, as long
/// as there are any; others are made up for, within limits. If there are none, all count, and the
/// round is disturbed ([`mark_disturbed`]).
pub(crate) fn capacity(
    round: usize,
    connections: usize,
    ask: &Ask,
    (proxy, upstream): (&Running, &Running),
    length: Duration,
) -> io::Result<Capacity> {
    let mut load = Load::new(ask, connections)?;
    // Connections, caches and branch predictors first.
    load.during(length / 8)?;
    let load_average_before = load_average();
    let proxies = [proxy];
    let wanted = u32::try_from(length.as_millis() / SLICE.as_millis()).unwrap_or(1);
    let wanted = wanted.max(1);
    let (mut near, mut all) = (Slices::default(), Slices::default());
    let mut before = crossing::look()?;
    while near.count < wanted && all.count < TRIES * wanted {
        let watch = Watch::start(&proxies, upstream)?;
        let outcome = load.during(length / wanted)?;
        let (used, others) = watch.end()?;
        let after = crossing::look()?;
        let longest = before.0.max(after.0);
        if !before.1 && !after.1 {
            near.add(&outcome, used, others, longest);
        }
        all.add(&outcome, used, others, longest);
        before = after;
    }
    let tried = all.count;
    let slices = if near.count > 0 { near } else { all };
    if slices.requests == 0 {
        return Err(io::Error::other("no request was answered"));
    }
    let each = |seconds: f64| seconds * 1e6 / slices.requests as f64;
    let [proxy_cpu, upstream_cpu, load_cpu] = slices.used;
    Ok(Capacity {
        round,
        per_second: slices.requests as f64 / slices.took,
        cpu_micros: each(proxy_cpu),
        busy: proxy_cpu / slices.took,
        load_micros: each(load_cpu),
        upstream_micros: each(upstream_cpu),
        resident_kib: proxy.resident(),
        reconnects: slices.reconnects,
        left_out: Some(tried - slices.count),
        crossing_nanos: Some(slices.crossing_nanos),
        noise: Noise {
            others: slices.others,
            load_average_before,
            disturbed: slices.others > OTHERS,
        },
    })
}

/// Marks those rounds as disturbed in which others were busy, or the CPUs far from each other by
/// what all rounds have seen: where a run begins, nothing is known of that.
pub(crate) fn mark_disturbed(cells: &mut [Cell]) {
    let rounds = cells.iter().flat_map(|cell| &cell.capacity);
    let mut seen: Vec<u64> = rounds.filter_map(|round| round.crossing_nanos).collect();
    let near = crossing::near(&mut seen);
    for round in cells.iter_mut().flat_map(|cell| &mut cell.capacity) {
        if let Some(nanos) = round.crossing_nanos {
            let is_far = crossing::is_far(nanos, near);
            round.noise.disturbed = is_far || round.noise.others > OTHERS;
        }
    }
}

/// At a fixed rate, so many requests a second of each. They are asked in turns, each on connections
/// of its own, so that a stall of the machine hits all of them; what became of each, in their order.
pub(crate) fn timed(
    round: usize,
    rate: f64,
    (asks, connections): (&[Ask], usize),
    (proxies, upstream): (&[&Running], &Running),
    length: Duration,
) -> io::Result<Vec<Timed>> {
    let rate = rate * asks.len() as f64;
    let seed = round as u64;
    open(asks, connections, rate, length / 8, seed)?;
    let load_average_before = load_average();
    let watch = Watch::start(proxies, upstream)?;
    let latencies = open(asks, connections, rate, length, seed)?;
    let (_, others) = watch.end()?;
    let noise = Noise {
        others,
        load_average_before,
        disturbed: others > OTHERS,
    };
    let of = |latencies| Timed::of(round, latencies, noise);
    Ok(latencies.into_iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::super::report::samples;
    use super::*;

    #[test]
    fn a_round_that_was_far_is_disturbed_though_nothing_nearer_was_known_then() {
        let mut cells = samples(&[
            ("sidecar", "S2", 25.0, 0.0),
            ("HAProxy", "S2", 25.0, 0.0),
            ("sidecar", "S3", 10.0, 0.0),
            ("HAProxy", "S3", 15.0, 0.0),
            ("sidecar", "S4", 9.0, 0.0),
        ]);
        let crossings = [Some(370), Some(55), Some(110), None, Some(60)];
        for (cell, nanos) in cells.iter_mut().zip(crossings) {
            cell.capacity[0].crossing_nanos = nanos;
        }
        // What was marked by a rule of before is marked anew; where it was not looked, it stays.
        cells[1].capacity[0].noise.disturbed = true;
        cells[3].capacity[0].noise.disturbed = true;
        cells[4].capacity[0].noise.others = 2.0 * OTHERS;
        mark_disturbed(&mut cells);
        let disturbed = cells.iter().map(|cell| cell.capacity[0].noise.disturbed);
        assert_eq!(
            disturbed.collect::<Vec<_>>(),
            [true, false, false, true, true]
        );
    }

    /// So many latencies of 1 to so many ms.
    fn latencies(counted: u64, left_out: u64) -> Latencies {
        let upto = |most| (1..=most).map(Duration::from_millis).collect();
        Latencies {
            counted: upto(counted),
            left_out: upto(left_out),
        }
    }

    fn quiet() -> Noise {
        samples(&[("sidecar", "S1", 1.0, 0.0)])[0].capacity[0].noise
    }

    #[test]
    fn what_does_not_count_is_left_out_of_percentiles_and_kept_beside_them() {
        let timed = Timed::of(7, latencies(100, 300), quiet());
        assert!(timed.noise.disturbed, "most were left out");
        assert_eq!(timed.p50, 100_000.0);
        let timed = Timed::of(7, latencies(100, 100), quiet());
        assert!(!timed.noise.disturbed);
        assert_eq!((timed.round, timed.p50, timed.p99), (7, 50_000.0, 99_000.0));
        let timed = Timed::of(0, latencies(300, 100), quiet());
        assert_eq!((timed.p50, timed.p99), (150_000.0, 297_000.0));
        let left_out = timed.left_out.expect("it was looked at");
        assert_eq!((left_out.share, left_out.p99_of_all), (0.25, 296_000.0));
        let none = Timed::of(0, Latencies::default(), quiet());
        assert_eq!((none.p99, none.noise.disturbed), (0.0, false));
    }
}
