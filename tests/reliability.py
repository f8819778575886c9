"""Makes tests/RELIABILITY.md: runs the long tests and writes down what they said.

    python3 tests/reliability.py              every part, one after the other (hours)
    python3 tests/reliability.py kills scale  these alone; the others stay as they were
    python3 tests/reliability.py soak=3600    as many seconds, kills or runs of it

Each part is one command that can be run by itself. What it prints between the lines `figures:` and an empty
line goes onto the page, with the command, the date, the commit and the machine. A part that fails is
written down as that, and this ends with 1.
"""

import datetime
import os
import pathlib
import platform
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

FOLDER = pathlib.Path(__file__).resolve().parent
TOP = FOLDER.parent
PAGE = FOLDER / "RELIABILITY.md"
HOURS_MAX = 24

# Name: (title, command, what it shows).
PARTS = {
    "simulation": (
        "Simulation",
        "COUNTERSIGN_SIM_RUNS={} cargo test --release --lib -- sim::long --nocapture",
        "The real nodes of several people, with simulated disks, links and clocks, and checkers after each "
        "step; then bugs that are planted one at a time, each with the checker that found it.",
    ),
    "kills": (
        "Kills",
        "cargo test --features fixtures --test kills -- --kills {}",
        "Two real nodes and `kill -9` at named points and at random moments.",
    ),
    "floods": (
        "Floods and slowness",
        "COUNTERSIGN_TEST_LONG=1 cargo test --release --test it -- floods --nocapture --test-threads 1",
        "What strangers, a trusted peer and slow clients can take from everybody else.",
    ),
    "scale": (
        "Scale",
        "cargo bench --bench bench -- scale",
        "A home with 1,000,000 messages beside one with 1,000, measured in one run.",
    ),
    "links": (
        "Links",
        "cargo bench --bench bench -- links",
        "One node, and 200 others in one process that are linked to it at once.",
    ),
    "soak": (
        "Soak",
        "cargo bench --bench bench -- soak --seconds {}",
        "Two real nodes at a steady rate, with restarts.",
    ),
    "messages": (
        "What a message costs",
        "cargo bench --bench bench",
        "Beside bare iroh, in one run.",
    ),
    "lab": (
        "Networks",
        "cargo test --test lab -- --all",
        "NATs, firewalls, dying relays and lost links, in network namespaces. The table is "
        "[`lab/RESULTS.md`](lab/RESULTS.md).",
    ),
    "fuzz": (
        "Fuzzing",
        "python3 tests/fuzz/run.py {}",
        "Every decoder that a stranger or a file can reach. The table is "
        "[`fuzz/RESULTS.md`](fuzz/RESULTS.md).",
    ),
}

# How many runs, kills or seconds are meant above, unless it is said.
AMOUNTS = {"simulation": "10000", "kills": "1000", "soak": "600", "fuzz": "3600"}

HEAD = """# Reliability

What the long tests said, each with the command that says it again. The page is written by
`python3 tests/reliability.py`; short forms of all of these but the benchmarks and the fuzzing run in
`cargo test` or in `.ci/run`. Times are of the machine that is named, which other work may have shared; ratios
were measured within one run.
"""


def said(output):
    """The lines after each `figures:`, up to an empty one. Tables with the same head become one."""
    blocks, taking = [], False
    for line in output.splitlines():
        if line.strip() == "figures:":
            taking = True
            blocks.append([])
        elif taking and not line.strip():
            taking = False
        elif taking:
            blocks[-1].append(line.rstrip())
    tables = []
    for block in blocks:
        if tables and tables[-1][:2] == block[:2]:
            tables[-1] += block[2:]
        else:
            tables.append(block)
    return "\n\n".join("\n".join(table) for table in tables)


def machine():
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    gib = round(int(memory[1]) / 2**20) if memory else "?"
    return f"{os.cpu_count()} cores, {gib} GiB, {platform.system()} {platform.machine()}"


def commit():
    git = ["git", "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(git, cwd=TOP, text=True, capture_output=True).stdout.strip() or "unknown"


def run(name, amount):
    title, command, about = PARTS[name]
    command = command.format(amount)
    print(f"=== {title}: {command}", flush=True)
    # Of what is measured, whatever is committed meanwhile.
    began, measured = time.monotonic(), commit()
    environment = {**os.environ, "COUNTERSIGN_NETWORK": "loopback"}
    output = []
    with subprocess.Popen(command, shell=True, cwd=TOP, env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as done:
        watch = threading.Timer(HOURS_MAX * 3600, os.killpg, (done.pid, signal.SIGKILL))
        watch.start()
        for line in done.stdout:
            print(line, end="", flush=True)
            output.append(line)
    watch.cancel()
    took = round(time.monotonic() - began)
    good = done.returncode == 0
    figures = said("".join(output)) or ("It said nothing." if good else "")
    outcome = "passed" if good else f"FAILED with exit code {done.returncode}"
    today = datetime.date.today().isoformat()
    text = (f"## {title}\n\n{about}\n\n```sh\n{command}\n```\n\n{today}, commit `{measured}`, {machine()}: "
            f"{outcome} after {took} s.\n\n{figures}\n")
    return text, good


def before():
    """The sections that are there, by their titles."""
    if not PAGE.exists():
        return {}
    parts = re.split(r"^(?=## )", PAGE.read_text(), flags=re.M)[1:]
    return {part.split("\n", 1)[0].removeprefix("## "): part.rstrip() + "\n" for part in parts}


def main():
    chosen = {name: amount for name, _, amount in (word.partition("=") for word in sys.argv[1:] or PARTS)}
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        sys.exit(f"no part {shlex.join(unknown)}; there are: {', '.join(PARTS)}")
    for name, amount in chosen.items():
        if amount and not (name in AMOUNTS and amount.isdigit()):
            sys.exit(f"{name}={amount}: a number may be given for {', '.join(AMOUNTS)}")
    good = True
    for name, amount in chosen.items():
        text, passed = run(name, amount or AMOUNTS.get(name))
        good &= passed
        sections = {**before(), PARTS[name][0]: text}
        order = [title for title, _, _ in PARTS.values() if title in sections]
        PAGE.write_text(HEAD + "\n" + "\n".join(sections[title] for title in order))
    sys.exit(0 if good else 1)


main()
