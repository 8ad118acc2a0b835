"""Resident memory at full rate for minutes: it must come to rest."""

import subprocess
import time

import figures
import load

# Every kind of answer the service has; a connection ends now and then.
SCRIPT = """
local requests = {}
for _, target in ipairs({ "/api/greeting", "/api/greeting?name=Ada", "/api/greeting?name=" .. string.rep("x", 101),
                          "/health", "/livez", "/version", "/nowhere", "/openapi.json" }) do
  requests[#requests + 1] = { target, {} }
end
requests[#requests + 1] = { "/api/greeting", { ["Connection"] = "close" } }
local number = 0
request = function()
  number = number + 1
  -- Mostly greetings; each of the others by turns.
  local kind = number % 8 == 0 and requests[number / 8 % #requests + 1] or requests[1]
  return wrk.format("GET", kind[1], kind[2])
end
"""

# What a page or two of the allocator's may move.
ALLOWED_KB = 512


def arguments(parser):
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--connections", type=int, default=64)


def measure(workshop, options):
    workshop.need("wrk")
    service = workshop.api(workshop.program())
    script = workshop.work / "mixed.lua"
    script.write_text(SCRIPT)
    idle = service.resident()
    command = load.wrk_command(service.port, options.seconds, options.connections, script=script)
    samples = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=load.pinned((load.LOADING,))) as wrk:
        try:
            while wrk.poll() is None:
                samples.append(service.resident())
                service.empty_log()
                time.sleep(1)
            seen = load.parse(wrk.stdout.read())
        finally:
            wrk.kill()
    fifth = len(samples) // 5 or 1
    parts = [samples[start : start + fifth] for start in range(0, fifth * 5, fifth)]
    print(f"\n{seen.requests} requests at {seen.rate:.0f}/s; socket errors: {seen.socket_errors}\n")
    heads = ("resident, kB", "idle", *(f"{number}/5" for number in range(1, 6)))
    figures.table(heads, [("median (least-most)", idle, *(figures.median(part, 0) for part in parts))])
    # The first fifth warms up.
    growth = figures.middle(parts[-1]) - figures.middle(parts[1])
    found = [f"grew by {growth} kB from the second fifth to the last"] if growth > ALLOWED_KB else []
    return found + ([f"socket errors: {seen.socket_errors}"] if any(seen.socket_errors.values()) else [])
