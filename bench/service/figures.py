"""Numbers for people: medians with their spread, tables, and what machine they come from."""

import os
import statistics


def machine():
    """One line that says where the figures come from."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{os.cpu_count()} processors, {model}; Linux {os.uname().release}; load {load}"


def middle(values):
    """The median."""
    return statistics.median(values)


def median(values, digits=1):
    """The median as text, with the least and the most in parentheses."""
    return f"{middle(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def percentile(values, share):
    """The value that a share of all does not exceed."""
    ordered = sorted(values)
    return ordered[int((len(ordered) - 1) * share)]


def ratios(ours, theirs):
    """Ours by theirs, round by round: what else the machine does meets both of a round alike."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def table(heads, rows):
    """Prints a table as Markdown has it, so that it can be copied into README.md."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *rows)]
    for row in [heads, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |", flush=True)
