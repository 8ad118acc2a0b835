"""Load: wrk for as much as a server can take, `paced` for latency at a fixed rate."""

import json
import os
import re
import subprocess
from dataclasses import dataclass

from workshop import LOADING, PATH

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass
class Load:
    """What wrk has seen."""

    requests: int
    seconds: float
    socket_errors: dict
    other_statuses: int

    @property
    def rate(self):
        return self.requests / self.seconds

    def failures(self):
        return sum(self.socket_errors.values()) + self.other_statuses


def arguments(parser):
    """What measurements in rounds are told."""
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=1, help="length of one measurement")
    parser.add_argument("--connections", type=int, default=64)


def pinned(cores):
    return lambda: os.sched_setaffinity(0, cores)


def wrk_command(port, seconds, connections, headers=(), threads=1, script=None):
    options = [word for header in headers for word in ("--header", header)]
    options += ["--script", str(script)] if script else []
    sizes = ["--threads", str(threads), "--connections", str(connections), "--duration", f"{seconds}s"]
    return ["wrk", *sizes, *options, f"http://127.0.0.1:{port}{PATH}"]


def wrk(port, seconds, connections=64, headers=(), threads=1, cores=(LOADING,), script=None):
    """Asks as fast as it is answered."""
    command = wrk_command(port, seconds, connections, headers, threads, script)
    run = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pinned(cores))
    return parse(run.stdout)


def full_rate(name, server, options, headers=(), threads=1, cores=(LOADING,)):
    """One measurement of a round: what wrk has seen, and the server's processor time, in ns."""
    server.empty_log()
    before = server.processor_time()
    seen = wrk(server.port, options.seconds, options.connections, headers, threads, cores)
    used = server.processor_time() - before
    if seen.failures():
        raise RuntimeError(f"{name} failed requests: {seen}")
    return seen, used


def parse(said):
    """wrk's report; its times come with units."""
    found = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", said)
    if not found:
        raise RuntimeError(f"wrk said: {said}")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    names = ("connect", "read", "write", "timeout")
    others = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Load(
        requests=int(found[1]),
        seconds=float(found[2]) * UNITS[found[3]] / 1e3,
        socket_errors=dict(zip(names, map(int, errors.groups()), strict=True)) if errors else dict.fromkeys(names, 0),
        other_statuses=int(others[1]) if others else 0,
    )


def paced(program, port, rate, seconds, connections=32):
    """Asks at a fixed rate; times in microseconds."""
    command = [str(word) for word in (program, port, rate, seconds, connections)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pinned((LOADING,)))
    return json.loads(run.stdout)
