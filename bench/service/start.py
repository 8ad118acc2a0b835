"""Time from the start of the process to its first answer, memory when idle, size of the program."""

import gzip
import time

import figures
from workshop import PATH

MOST_MILLISECONDS, MOST_IDLE_KB = 20, 8 * 1024
MOST_BYTES, MOST_COMPRESSED = 4_000_000, 2_000_000


def arguments(parser):
    parser.add_argument("--starts", type=int, default=20)


def measure(workshop, options):
    program = workshop.program()
    times, idle = [], []
    for _ in range(options.starts):
        begun = time.monotonic()
        service = workshop.api(program, health=PATH)
        times.append((time.monotonic() - begun) * 1000)
        time.sleep(0.5)
        idle.append(service.resident())
        service.kill()
    size = program.stat().st_size
    compressed = len(gzip.compress(program.read_bytes(), 6))
    print()
    rows = [
        ("start to first answer, ms", figures.median(times), MOST_MILLISECONDS),
        ("resident when idle, kB", figures.median(idle, 0), MOST_IDLE_KB),
        ("program, bytes", size, MOST_BYTES),
        ("program, compressed, bytes", compressed, MOST_COMPRESSED),
    ]
    figures.table((f"median of {options.starts} (least-most)", "measured", "at most"), rows)
    measured = (figures.middle(times), figures.middle(idle), size, compressed)
    return [f"{row[0]}: {value:.0f}, at most {row[2]}" for row, value in zip(rows, measured, strict=True) if value > row[2]]
