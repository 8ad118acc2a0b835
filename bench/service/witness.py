"""Clients that know of each of their requests how it ended."""

import os
import socket
import threading
import time

from workshop import LOADING, PATH

# Half of them ask once on each connection, the others for as long as the service keeps it open.
CLIENTS = 8


class Witnesses:
    """Asks from several threads; `outcomes` has one (id, outcome) for each request."""

    def __init__(self, port):
        self.port = port
        self.outcomes = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._ask_on, args=(client,)) for client in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _ask_on(self, client):
        os.sched_setaffinity(0, (LOADING,))
        number, connection = 0, None
        while not self.stopping.is_set():
            identity = f"{client}-{number}"
            number += 1
            fresh = connection is None
            if fresh:
                try:
                    connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
                except OSError:
                    self.outcomes.append((identity, "refused"))
                    time.sleep(0.005)
                    continue
            outcome, goes_on = ask(connection, identity)
            self.outcomes.append((identity, f"{outcome}, {'new' if fresh else 'kept'}" if outcome == "cut" else outcome))
            if client % 2 or not goes_on:
                connection.close()
                connection = None
        if connection:
            connection.close()


def ask(connection, identity):
    """How a request ended, and whether the connection goes on."""
    head = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: witness-{identity}\r\n\r\n"
    try:
        connection.sendall(head.encode())
        answer = b""
        while not is_whole(answer):
            part = connection.recv(65536)
            if not part:
                return "cut", False
            answer += part
    except OSError:
        return "cut", False
    start = answer.partition(b"\r\n\r\n")[0].lower()
    goes_on = b"\r\nconnection: close" not in start
    return ("answered" if b" 200 " in start.partition(b"\r\n")[0] else "another status"), goes_on


def is_whole(answer):
    """Whether all that the head announces has arrived."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return len(body) >= int(lengths[0])
