"""Latency of normal requests while many connections send their headers drop by drop."""

import os
import selectors
import socket
import threading

import figures
import load
from workshop import LOADING

MOST_P99 = 50_000
DEADLINE = 30
HEAD = b"GET /api/greeting HTTP/1.1\r\nHost: localhost\r\nX-Drip: " + b"a" * 4096

# Each connection has one turn a second. At first a turn opens a fiftieth of them, or all would end at the same time.
TURNS, OPENINGS = 20, 50


def arguments(parser):
    parser.add_argument("--connections", type=int, default=1000, help="connections that drip")
    parser.add_argument("--rate", type=int, default=1000, help="normal requests a second")
    parser.add_argument("--seconds", type=int, default=30)


def measure(workshop, options):
    service = workshop.api(workshop.program())
    paced = workshop.example("paced")
    before = service.resident()
    alone = load.paced(paced, service.port, options.rate, 5)
    with Drips(service.port, options.connections) as drips:
        beside = load.paced(paced, service.port, options.rate, options.seconds)
        during = service.resident()
    rows = [
        (name, seen["answered"], seen["failed"], seen["p50"], seen["p99"], seen["most"])
        for name, seen in (("alone", alone), (f"beside {options.connections} that drip", beside))
    ]
    print(f"\nNormal requests, {options.rate} a second; µs from when each was due\n")
    figures.table(("", "answered", "failed", "median", "p99", "most"), rows)
    print(f"\nDripping: {drips}. Resident memory {before} kB before, {during} kB during.")
    found = []
    if beside["p99"] >= MOST_P99:
        found.append(f"p99 {beside['p99']} µs, less than {MOST_P99} wanted")
    if beside["failed"]:
        found.append(f"{beside['failed']} normal requests failed")
    if drips.mean() < options.connections * 0.95:
        found.append(f"only {drips.mean():.0f} of {options.connections} were held on average")
    return found


class Drips:
    """Connections that send a byte a second each, opened again whenever the service ends one."""

    def __init__(self, port, wanted):
        self.port, self.wanted = port, wanted
        self.opened = self.ended = 0
        self.held = []
        self.full = threading.Event()
        self.sockets = selectors.DefaultSelector()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._drip)

    def __enter__(self):
        self.thread.start()
        if not self.full.wait(DEADLINE):
            self.__exit__()
            raise RuntimeError(f"cannot hold {self.wanted} connections: {self}")
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        for key in list(self.sockets.get_map().values()):
            key.fileobj.close()
        self.sockets.close()

    def __str__(self):
        return f"{self.mean():.0f} of {self.wanted} held on average, {self.opened} opened, {self.ended} ended by the service"

    def mean(self):
        """How many were held, by what each turn found before it opened others for those that had ended."""
        return sum(self.held) / len(self.held) if self.held else 0

    def _fill(self):
        missing = self.wanted - len(self.sockets.get_map())
        for _ in range(missing if self.full.is_set() else min(missing, self.wanted // OPENINGS)):
            drip = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            drip.setblocking(False)
            # How much of the head it has sent.
            self.sockets.register(drip, selectors.EVENT_READ, [0])
            self.opened += 1
        if missing == 0:
            self.full.set()

    def _drip(self):
        os.sched_setaffinity(0, (LOADING,))
        turn = 0
        while not self.stopping.wait(1 / TURNS):
            # The service has ended those that can be read, whether it says why or not.
            for key, _ in self.sockets.select(0):
                self._close(key.fileobj)
            if self.full.is_set():
                self.held.append(len(self.sockets.get_map()))
            self._fill()
            for key in list(self.sockets.get_map().values())[turn % TURNS :: TURNS]:
                self._drop(key)
            turn += 1

    def _drop(self, key):
        at = key.data[0]
        try:
            key.data[0] += key.fileobj.send(HEAD[at : at + 1])
        except OSError:
            self._close(key.fileobj)

    def _close(self, drip):
        self.sockets.unregister(drip)
        drip.close()
        self.ended += 1
