"""Processor time per request, and latency at half load: the service, nginx and bare servers, in rounds."""

from dataclasses import dataclass, field

import figures
import load
from server import Server

CPU_BY_NGINX, CPU_BY_HYPER = 1.05, 1.25

# What API Gateway and a caller that traces send along.
TRACED = (
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "X-Request-Id: 5f1c1a7e-7d43-4a0b-9a3c-3f6d1c2b9e10",
    "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678",
    "X-Forwarded-For: 203.0.113.7",
)


@dataclass
class Side:
    """One of the compared, with a figure a round."""

    name: str
    server: Server
    headers: tuple = ()
    cpu: list = field(default_factory=list)
    rate: list = field(default_factory=list)
    latency: list = field(default_factory=list)


def arguments(parser):
    load.arguments(parser)


def measure(workshop, options):
    workshop.need("wrk", "nginx")
    service = workshop.api(workshop.program())
    ours = Side("service", service)
    traced = Side("service, traced", service, TRACED)
    nginx = Side("nginx", workshop.nginx())
    buffered = Side("nginx, log in pieces", workshop.nginx(buffered=True))
    hyper = Side("bare hyper", workshop.bare("bare_hyper"))
    actix = Side("bare actix-web", workshop.bare("bare_actix"))
    sides = [ours, traced, nginx, buffered, hyper, actix]
    paced = workshop.example("paced")
    for side in sides:
        load.wrk(side.server.port, 1, options.connections)
    for _ in range(options.rounds):
        for side in sides:
            at_full_rate(side, options)
    half = int(figures.middle(ours.rate)) // 2
    for _ in range(options.rounds):
        for side in (ours, nginx, hyper):
            at_half_rate(side, paced, half, options)
    report(sides, ours, nginx, hyper, half)
    return misses(ours, nginx, hyper)


def at_full_rate(side, options):
    seen, used = load.full_rate(side.name, side.server, options, side.headers)
    side.cpu.append(used / seen.requests / 1000)
    side.rate.append(seen.rate)


def at_half_rate(side, paced, rate, options):
    side.server.empty_log()
    seen = load.paced(paced, side.server.port, rate, options.seconds)
    if seen["failed"]:
        raise RuntimeError(f"{side.name} failed requests: {seen}")
    side.latency.append(seen)


def report(sides, ours, nginx, hyper, half):
    rows = [
        (
            side.name,
            figures.median(side.cpu, 2),
            figures.median(figures.ratios(side.cpu, nginx.cpu), 2),
            figures.median(figures.ratios(side.cpu, hyper.cpu), 2),
            figures.median([rate / 1000 for rate in side.rate]),
        )
        for side in sides
    ]
    print("\nProcessor time per request at full rate; medians (least-most)\n")
    figures.table(("", "µs a request", "by nginx's", "by bare hyper's", "thousand requests/s"), rows)
    rows = [
        (side.name, *(figures.median([seen[key] for seen in side.latency], 0) for key in ("p50", "p99", "p999")))
        for side in (ours, nginx, hyper)
    ]
    print(f"\nLatency at {half} requests/s, half of what the service can do; µs from when each was due\n")
    figures.table(("", "median", "p99", "p99.9"), rows)


def misses(ours, nginx, hyper):
    """What was promised and does not hold, by the medians."""
    found = []
    for other, most in ((nginx, CPU_BY_NGINX), (hyper, CPU_BY_HYPER)):
        ratio = figures.middle(figures.ratios(ours.cpu, other.cpu))
        if ratio > most:
            found.append(f"processor time {ratio:.2f} of {other.name}'s, at most {most} wanted")
    mine, theirs = (figures.middle([seen["p99"] for seen in side.latency]) for side in (ours, nginx))
    if mine > theirs:
        found.append(f"p99 at half load {mine:.0f} µs, nginx's is {theirs:.0f} µs")
    return found
