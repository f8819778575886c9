"""Fuzzes every target for some seconds: python3 tests/fuzz/run.py SECONDS [TARGET...]

Starts from the inputs in corpus/, from the vectors, and from all that earlier runs on this machine found, which
is in the build's folder. Keeps in corpus/ small inputs of the smallest set that reaches the same code, and writes
what it saw to RESULTS.md. Whatever broke a property is added to found/, and stays there. As many targets run
beside each other as there are cores. Needs a nightly toolchain and cargo-fuzz; where there is no rustup, the
nightly cargo comes first in PATH. Ends with 1 when an input breaks a property.
"""

import concurrent.futures
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
TOP = FOLDER.parent.parent
BYTES_MAX = 70_000
# What is kept in the repository: small inputs, and not too many.
KEPT_BYTES_MAX = 1_024
KEPT_MAX = 300
VECTORS = {"pair_frame": "pair", "code_frame": "code"}


def targets():
    found = re.findall(r'^name = "(\w+)"\npath = "fuzz_targets', (FOLDER / "Cargo.toml").read_text(), re.M)
    assert found
    return found


def seeds(target):
    for kept in (FOLDER / "corpus" / f"{target}.hex", FOLDER / "found" / f"{target}.hex"):
        if kept.exists():
            yield from (bytes.fromhex(line) for line in kept.read_text().split())
    vectors = TOP / "tests" / "vectors" / f"{VECTORS.get(target, target)}.json"
    if vectors.exists():
        for vector in json.loads(vectors.read_text())["vectors"]:
            text = vector.get("bytes", "")
            # Large ones are written in short, and are no seeds.
            if re.fullmatch(r"(?:[0-9a-f]{2})+", text):
                yield bytes.fromhex(text)
            elif "text" in vector:
                yield vector["text"].encode()
    if target == "policy":
        yield (TOP / "src" / "policy" / "standard.toml").read_bytes()


def fuzz(*arguments):
    command = ["cargo", "fuzz", *arguments[:1], "--fuzz-dir", str(FOLDER), *arguments[1:]]
    if shutil.which("rustup"):
        command[1:1] = ["+nightly"]
    running = subprocess.Popen(command, cwd=TOP, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = running.stdout.read()
    # With the processor time of all that it started.
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    return subprocess.CompletedProcess(command, running.returncode, output), used.ru_utime + used.ru_stime


def keep_what_broke(target):
    file = FOLDER / "found" / f"{target}.hex"
    lines = file.read_text().split() if file.exists() else []
    for artifact in sorted((FOLDER / "artifacts" / target).iterdir()):
        # What was only slow broke nothing.
        if not artifact.name.startswith("slow-unit-"):
            lines.append(artifact.read_bytes().hex())
        artifact.unlink()
    file.parent.mkdir(exist_ok=True)
    # Each once, in the order in which they were found.
    file.write_text("".join(line + "\n" for line in dict.fromkeys(lines)))


def one(target, seconds, work):
    corpus = work / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed{number}").write_bytes(seed)
    # No sanitizer: there is no unsafe code of ours for it to look at, and runs are twice as many without.
    ran, used = fuzz("run", "--sanitizer", "none", target, str(corpus), "--", f"-max_total_time={seconds}", f"-max_len={BYTES_MAX}",
               "-print_final_stats=1", "-timeout=20", "-rss_limit_mb=2048")
    # What ran beside it, or ended it before its time, is not counted.
    took = min(seconds, int(used))
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", ran.stdout)
    covered = re.findall(r"cov: (\d+)", ran.stdout)
    if ran.returncode:
        print(ran.stdout[-4000:])
        keep_what_broke(target)
    fuzz("cmin", "--sanitizer", "none", target, str(corpus), "--", f"-max_len={BYTES_MAX}")
    inputs = sorted((path.read_bytes() for path in corpus.iterdir()), key=lambda b: (len(b), b))
    small = [data for data in inputs if len(data) <= KEPT_BYTES_MAX]
    # Evenly over all sizes, where there are too many.
    step = max(1, -(-len(small) // KEPT_MAX))
    kept = small[::step]
    (FOLDER / "corpus").mkdir(exist_ok=True)
    lines = "".join(data.hex() + "\n" for data in kept if data)
    (FOLDER / "corpus" / f"{target}.hex").write_text(lines)
    return {
        "seconds": took,
        "runs": int(runs[1]) if runs else 0,
        "covered": int(covered[-1]) if covered else 0,
        "inputs": len(inputs),
        "kept": len(kept),
        "good": ran.returncode == 0,
    }


def write(results):
    lines = [
        "What each target saw: `python3 tests/fuzz/run.py SECONDS`, which writes this page. Seconds and runs are",
        "those of all times it was run so far, each of which began with the inputs that were kept; the rest is",
        "what the last one saw. Seconds are those that it had a core for; but of the targets that have vectors, and",
        "of config, policy, request and scan, the first 240 to 720 were the clock's, beside whatever else ran.",
        "",
        "| target | date | seconds | runs | edges covered | inputs | of these kept | broken |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for target, seen in sorted(results.items()):
        lines.append(
            f"| {target} | {seen['date']} | {seen['seconds']} | {seen['runs']} | {seen['covered']} | "
            f"{seen['inputs']} | {seen['kept']} | {'none' if seen['good'] else 'YES'} |")
    (FOLDER / "RESULTS.md").write_text("\n".join(lines) + "\n")


def before():
    page = FOLDER / "RESULTS.md"
    found = {}
    for line in page.read_text().splitlines() if page.exists() else []:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 8 and cells[2].isdigit():
            names = ("seconds", "runs", "covered", "inputs", "kept")
            found[cells[0]] = dict(zip(names, map(int, cells[2:7])), date=cells[1], good=cells[7] == "none")
    return found


def main():
    if len(sys.argv) < 2 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    seconds, chosen = int(sys.argv[1]), sys.argv[2:] or targets()
    for name in chosen:
        if name not in targets():
            sys.exit(f"no target {name}; there are: {', '.join(targets())}")
    work = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")) / "fuzz-corpus"
    results = before()
    built, _ = fuzz("build", "--sanitizer", "none")
    if built.returncode:
        sys.exit(built.stdout[-4000:])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(one, target, seconds, work): target for target in chosen}
        for done in concurrent.futures.as_completed(running):
            target, seen = running[done], done.result()
            print(target, seen, flush=True)
            for what in ("seconds", "runs"):
                seen[what] += results.get(target, {}).get(what, 0)
            results[target] = {**seen, "date": datetime.date.today().isoformat()}
            write(results)
    least = min(results[target]["seconds"] for target in chosen)
    runs = sum(results[target]["runs"] for target in chosen)
    broken = [target for target in chosen if not results[target]["good"]]
    print(f"\nfigures:\n{len(chosen)} targets, {seconds} s each this time, at least {least} s each and {runs} runs in "
          f"all; broken: {', '.join(broken) or 'none'}.\n")
    sys.exit(1 if broken else 0)


main()
