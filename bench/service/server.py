"""A server as a process: started on some processors, asked for what it has used, ended."""

import http.client
import os
import pathlib
import socket
import subprocess
import time

DEADLINE = 10


def free_port():
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A running server whose stdout and stderr go to the end of a file, its log."""

    def __init__(self, command, port, cores, environment=None, log=os.devnull):
        self.port, self.log = port, pathlib.Path(log)
        # At its end, so that it can be emptied while it is written.
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    def await_answer(self, path):
        """Waits for the first 200."""
        deadline = time.monotonic() + DEADLINE
        while not self._answers(path):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"no answer on port {self.port}: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.005)

    def _answers(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def processes(self):
        """The process and its children, such as nginx's workers."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def processor_time(self):
        """Nanoseconds on a processor so far, of all its threads, as the scheduler has counted them."""
        threads = [thread for pid in self.processes() for thread in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)

    def resident(self):
        """Resident memory in kB."""
        return sum(
            int(line.split()[1])
            for pid in self.processes()
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS:")
        )

    def empty_log(self):
        """Keeps a long run from filling the disk."""
        os.truncate(self.log, 0)

    def kill(self):
        """Ends it at once; nginx ends its workers itself."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(1)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
