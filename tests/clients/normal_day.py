"""A normal day: 200 messages of ordinary development talk go to and fro between two agents, each of
which reads what came before it writes. Counts how often a person is asked, and fails above twice.
python3 normal_day.py PROGRAM SET...      a SET is a *.jsonl or *.jsonl.gz with a `text` a line"""

import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
import time

from owner import SECONDS, Owner

MESSAGES = 200
ASKED_MAX = 2
TEXT_BYTES_MAX = 65536


def texts(paths):
    """The texts of all sets in an order that has nothing to do with their places."""
    found = []
    for path in paths:
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8") as lines:
            found += [json.loads(line)["text"] for line in lines]
    fit = [text for text in found if text.strip() and len(text.encode()) <= TEXT_BYTES_MAX]
    fit.sort(key=lambda text: hashlib.sha256(text.encode()).digest())
    return fit


def until(condition):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise RuntimeError("it took too long")


def pair(alice, bob):
    invite = alice.json("invite")["invite"]
    bob.json("connect", invite, "--name", "alice")
    for owner in (alice, bob):
        items = until(lambda: [i for i in owner.json("pending")["items"] if "not_ready" not in i])
        owner.approve(items[0]["id"])
    for owner in (alice, bob):
        until(lambda: [p for p in owner.json("peers")["peers"] if p["state"] == "trusted"])
    return alice.json("peers")["peers"][0]["name"], bob.json("peers")["peers"][0]["name"]


def send(owner, to, text):
    done = subprocess.run(
        [owner.program, "send", to, "-", "--json"],
        env=owner.env,
        input=text,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    if done.returncode not in (0, 3):
        raise RuntimeError(f"send: {done.returncode} {done.stderr}")
    return json.loads(done.stdout)


def day(alice, bob, talk):
    names = pair(alice, bob)
    asked = []
    for number, text in enumerate(talk):
        turn = number % 2
        writer, reader = (alice, bob) if turn == 0 else (bob, alice)
        sent = send(writer, names[turn], text)
        if sent["state"] == "held":
            asked.append((writer.name, "leaves", [f["rule"] for f in sent["findings"]]))
            writer.approve(sent["pending"])
        arrived = ("accepted", "read", "held_by_peer")
        state = lambda: writer.json("message", sent["id"])["state"]
        until(lambda: state() in arrived)
        if state() == "held_by_peer":
            item = reader.json("pending")["items"][0]
            asked.append((reader.name, "arrives", [r["rule"] for r in item["reasons"]]))
            reader.approve(item["id"])
            until(lambda: state() == "accepted")
        reader.json("inbox", "--unread", "--mark-read")
    return asked


def main(program, paths):
    talk = texts(paths)[:MESSAGES]
    assert len(talk) == MESSAGES, f"only {len(talk)} texts"
    with tempfile.TemporaryDirectory(prefix="cs") as one, tempfile.TemporaryDirectory(prefix="cs") as two:
        alice, bob = Owner(program, one, "alice"), Owner(program, two, "bob")
        try:
            for owner in (alice, bob):
                owner.init()
            asked = day(alice, bob, talk)
        finally:
            for owner in (alice, bob):
                owner.stop()
    for line in asked:
        print(*line)
    print(f"{MESSAGES} messages, {sum(len(text.encode()) for text in talk)} bytes: asked {len(asked)} times")
    return 0 if len(asked) <= ASKED_MAX else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
