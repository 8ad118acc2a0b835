"""Where a measurement happens: a temporary folder, compiled programs, and servers that end with it."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from server import Server, free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = "x86_64-unknown-linux-gnu"
PATH = "/api/greeting"
BODY = '{"id":1,"content":"Hello, World!"}'

# The servers have this processor, the load has the other.
SERVING, LOADING = 0, 1

# The image's own flags, but for the paths that it has mapped away.
FLAGS = "-C target-feature=+crt-static"

# Everything that can be switched on, is.
SETTINGS = {
    "API_BIND_ADDRESS": "127.0.0.1",
    "API_LOG_FORMAT": "json",
    "API_CORS_ORIGINS": "https://app.example.com,https://www.example.com",
    "API_TRUSTED_PROXIES": "1",
    "API_PATH_PREFIX": "/production",
    "IMAGE_DIGEST": "sha256:" + "0" * 64,
}

NGINX = """
daemon off;
worker_processes {workers};
user {user};
pid {work}/{name}.pid;
error_log {work}/{name}.error.log;
events {{ worker_connections 4096; }}
http {{
  access_log {log} combined{buffer};
  keepalive_requests 1000000000;
  client_body_temp_path {work}/{name}.tmp;
  proxy_temp_path {work}/{name}.tmp;
  fastcgi_temp_path {work}/{name}.tmp;
  uwsgi_temp_path {work}/{name}.tmp;
  scgi_temp_path {work}/{name}.tmp;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = {path} {{
      default_type application/json;
      return 200 '{body}';
    }}
  }}
}}
"""


class Workshop:
    """Ends every server and removes the folder, however the measurement ends."""

    def __enter__(self):
        if os.uname().sysname != "Linux" or os.uname().machine != "x86_64" or len(os.sched_getaffinity(0)) < 2:
            sys.exit("this takes Linux on x86_64 with two processors")
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="bench-service-"))
        self.servers = []
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.work)

    def need(self, *programs):
        """Ends with 3 where a program is missing."""
        for program in programs:
            if not shutil.which(program):
                print(f"{program} is needed", file=sys.stderr)
                sys.exit(3)

    def compile(self, *what, root=ROOT, flags=FLAGS, options=(), target=None):
        """Compiles as the image is compiled, and returns the folder of the programs."""
        self.need("cargo")
        print(f"compiling {' '.join(what)} ...", file=sys.stderr)
        target = target or os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
        environment = {**os.environ, "RUSTFLAGS": flags, "CARGO_TARGET_DIR": str(target)}
        command = ["cargo", "build", "--quiet", "--release", "--package", "api", "--target", TARGET, *options, *what]
        subprocess.run(command, cwd=root, env=environment, check=True)
        return pathlib.Path(target) / TARGET / "release"

    def program(self):
        """The service. On its own: the examples' dependencies would switch on features that the image has not."""
        return self.compile("--bin", "api") / "api"

    def example(self, name):
        """A program of crates/api/examples."""
        return self.compile("--example", name) / "examples" / name

    def api(self, program, workers=1, cores=(SERVING,), port=None, **settings):
        """The service with everything switched on and its log in a file."""
        port = port or free_port()
        environment = {
            **SETTINGS,
            "API_PORT": str(port),
            "API_MANAGEMENT_PORT": "0",
            "API_WORKERS": str(workers),
            **settings,
        }
        return self._serve("api", [program], port, cores, environment, health="/health")

    def nginx(self, workers=1, cores=(SERVING,), buffered=False):
        """nginx that answers the same bytes; its log is written line by line, as it is by default, or in pieces."""
        self.need("nginx")
        port, name = free_port(), f"nginx-{len(self.servers)}"
        text = NGINX.format(
            workers=workers,
            user="root" if os.getuid() == 0 else "nobody",
            work=self.work,
            name=name,
            log=self.work / f"{name}.log",
            buffer=" buffer=64k flush=1s" if buffered else "",
            port=port,
            path=PATH,
            body=BODY,
        )
        file = self.work / f"{name}.conf"
        file.write_text(text)
        return self._serve(name, ["nginx", "-e", self.work / f"{name}.error.log", "-c", file], port, cores)

    def bare(self, name, cores=(SERVING,)):
        """A server that does nothing else than answer the same bytes."""
        port = free_port()
        return self._serve(name, [self.example(name), str(port)], port, cores)

    def _serve(self, name, command, port, cores, environment=None, health=PATH):
        server = Server(command, port, cores, environment, self.work / f"{name}.log")
        self.servers.append(server)
        server.await_answer(health)
        return server
