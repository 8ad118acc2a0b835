"""Throughput with one and two workers: with two, the load shares both processors with the server."""

import figures
import load
from workshop import LOADING, SERVING

BOTH = (SERVING, LOADING)


def arguments(parser):
    load.arguments(parser)


def measure(workshop, options):
    workshop.need("wrk", "nginx")
    program = workshop.program()
    sides = {
        "service, 1 worker": workshop.api(program, workers=1, cores=BOTH),
        "service, 2 workers": workshop.api(program, workers=2, cores=BOTH),
        "nginx, 1 worker": workshop.nginx(workers=1, cores=BOTH),
        "nginx, 2 workers": workshop.nginx(workers=2, cores=BOTH),
    }
    rates = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, server in sides.items():
            seen, _ = load.full_rate(name, server, options, threads=2, cores=BOTH)
            rates[name].append(seen.rate / 1000)
    print("\nServer and load (two threads of wrk) on the same two processors; medians (least-most)\n")
    rows = []
    for name in ("service", "nginx"):
        one, two = (rates[f"{name}, {workers}"] for workers in ("1 worker", "2 workers"))
        rows.append((name, figures.median(one), figures.median(two), figures.median(figures.ratios(two, one), 2)))
    figures.table(("thousand requests/s", "1 worker", "2 workers", "two by one"), rows)
    gain = figures.middle(figures.ratios(rates["service, 2 workers"], rates["service, 1 worker"]))
    return [] if gain > 1 else [f"two workers answer {gain:.2f} of what one does"]
