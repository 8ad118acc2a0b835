"""Runs a command: memory.py OUT COMMAND..., and writes its seconds and the most memory that it alone had (MB) to OUT.

The kernel's own high-water mark, read until the end: what a parent gets told later would include the children.
"""

import re
import subprocess
import sys
import time

out, command = sys.argv[1], sys.argv[2:]
begun, highest = time.monotonic(), 0
process = subprocess.Popen(command)
while process.poll() is None:
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as status:
            mark = re.search(r"VmHWM:\s+(\d+) kB", status.read())
        highest = int(mark[1]) if mark else highest
    except OSError:
        pass
    time.sleep(0.002)
with open(out, "w", encoding="ascii") as report:
    report.write(f"{time.monotonic() - begun:.2f} {highest / 1024:.1f}\n")
sys.exit(process.returncode)
