"""SIGTERM and restart under load, again and again: what was accepted must have been answered.

Two kinds of loss are counted. *Lost*: the service has logged a request whose client has no answer. wrk's requests are
compared by number, the witnesses' one by one, by their ids. *Cut*: a witness had a connection and sent a request, and
the connection ended without an answer, whether the service had read the request or not.

A connection that is refused, because between two processes nobody listens, is neither.
"""

import re
import signal
import subprocess
import time
from collections import Counter

import figures
import load
from server import free_port
from witness import Witnesses

# Drained at once, and for a second in which every answer closes its connection.
DRAINS = (0, 1)
LONGEST_END = 5


def arguments(parser):
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.5, help="time under load before each signal")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)


def measure(workshop, options):
    workshop.need("wrk")
    program, port = workshop.program(), free_port()
    command = load.wrk_command(port, 3600, options.connections)
    witnesses = Witnesses(port)
    logged, ends, wrongly_ended = Logged(), {drain: [] for drain in DRAINS}, 0
    service = serve(workshop, program, port, options.workers, DRAINS[0])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=load.pinned((load.LOADING,))) as wrk:
        try:
            with witnesses:
                for number in range(options.rounds):
                    if number:
                        service = serve(workshop, program, port, options.workers, DRAINS[number % len(DRAINS)])
                    time.sleep(options.seconds)
                    began = time.monotonic()
                    service.process.send_signal(signal.SIGTERM)
                    drain = DRAINS[number % len(DRAINS)]
                    code = service.process.wait(drain + LONGEST_END)
                    ends[drain].append((time.monotonic() - began) * 1000)
                    wrongly_ended += code != 0
                    logged.take(service)
            wrk.send_signal(signal.SIGINT)
            seen = load.parse(wrk.communicate(timeout=10)[0])
        finally:
            wrk.kill()
    return report(options, seen, witnesses, logged, ends, wrongly_ended)


def serve(workshop, program, port, workers, drain):
    return workshop.api(program, workers=workers, port=port, health="/livez", API_DRAIN_SECONDS=str(drain))


class Logged:
    """The requests that the services have logged."""

    def __init__(self):
        self.others, self.witnesses = 0, set()

    def take(self, service):
        """Counts what stands in a log, and empties it."""
        for line in service.log.read_bytes().splitlines():
            if found := re.search(rb'"witness-(\d+-\d+)"', line):
                self.witnesses.add(found[1].decode())
            elif b'"/api/greeting"' in line:
                self.others += 1
        service.empty_log()


def report(options, seen, witnesses, logged, ends, wrongly_ended):
    outcomes = Counter(outcome for _, outcome in witnesses.outcomes)
    answered = {number for number, outcome in witnesses.outcomes if outcome == "answered"}
    lost = len(logged.witnesses - answered)
    rows = [
        ("wrk", logged.others, seen.requests, logged.others - seen.requests, "-", "-"),
        ("witnesses", len(logged.witnesses), len(answered), lost, outcomes["cut, new"], outcomes["cut, kept"]),
    ]
    print(f"\n{options.rounds} rounds, drained for {' and '.join(map(str, DRAINS))} s by turns\n")
    figures.table(
        ("", "logged", "answered", "lost", "cut on a new connection", "cut on one that was kept"),
        rows,
    )
    times = "; ".join(f"{drain} s: {figures.median(ends[drain], 0)}" for drain in DRAINS if ends[drain])
    print(f"\nMilliseconds from the signal to the end, by drain: {times}")
    print(f"Refused while nobody listened: {outcomes['refused']} of the witnesses' connections")
    found = []
    for name, count in (
        ("requests of wrk lost", abs(logged.others - seen.requests)),
        ("requests of the witnesses lost", lost),
        ("requests cut", outcomes["cut, new"] + outcomes["cut, kept"]),
        ("answers other than 200", seen.other_statuses + outcomes["another status"]),
        ("ends with another code than 0", wrongly_ended),
    ):
        if count:
            found.append(f"{count} {name}")
    return found
