"""Where the allocations of a request come from, by the test that counts them (crates/api/tests/allocations.rs)."""

import json
import os
import pathlib
import re
import subprocess
from collections import Counter

import figures
from workshop import ROOT

# Frames of those who allocate for others.
LIBRARY = re.compile(
    r"__rust_|\((dhat-|alloc/|core/|std/|hashbrown-|bytes-|\?\?\?"
    r"|src/(alloc|boxed|collections|fmt|io|raw|raw_vec|slice|str|string|vec)\b)"
)
TEST = ["cargo", "test", "--quiet", "--package", "api", "--test", "allocations", "--"]


def arguments(_):
    pass


def measure(workshop, _):
    workshop.need("cargo")
    profile = [*TEST, "--exact", "profile", "--ignored", "--nocapture"]
    run = subprocess.run(profile, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    found = re.search(r"^(\d+) (/.*)$", run.stderr, re.MULTILINE)
    if run.returncode or not found:
        raise RuntimeError(run.stderr)
    requests, file = int(found[1]), pathlib.Path(found[2])
    profile = json.loads(file.read_text())
    file.unlink()
    places = Counter()
    for point in profile["pps"]:
        frames = [profile["ftbl"][frame].partition(": ")[2] for frame in point["fs"]]
        places[place(frames)] += point["tbk"] / requests
    # What happens now and then, such as a growing buffer, is no request's own.
    rows = [(f"{number:.1f}", *where) for where, number in places.most_common() if number >= 0.1]
    print(f"\n{sum(places.values()):.1f} allocations a request, unoptimized\n")
    figures.table(("a request", "where", "for the service's"), rows)
    return []


def place(frames):
    """The innermost frame that is no general library's, and the innermost of our own."""
    inner = next((frame for frame in frames if not LIBRARY.search(frame)), "elsewhere")
    ours = next((frame for frame in frames if "(api/src/" in frame or "(chassis/src/" in frame), "")
    return shorten(inner), shorten(ours)


def shorten(frame):
    """The last name of the function, and its place without version and column."""
    name, _, where = frame.rpartition(" (")
    before = None
    while name != before:
        before, name = name, re.sub(r"<[^<>]*>", "", name)
    name = re.sub(r"::\{.*|[<>]", "", name).rpartition("::")[2]
    return re.sub(r"-\d[\w.+-]*(?=/)|:\d+\)$", "", f"{name} {where}").strip()
