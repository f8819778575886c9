"""Keeps a home of this version as a vector for later ones: python3 make.py PROGRAM

Three owners pair and talk on 127.0.0.1. Alice's home, once her node has ended, goes into a folder that is
named after its schema, with what her program said of it. `tests/it/upgrade.rs` opens every such home with
the present program, which has to say the same. A folder that is there is never made anew.
"""

import gzip
import json
import os
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import time

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent.parent / "clients"))

from homes import until  # noqa: E402
from owner import Owner  # noqa: E402

# Not a secret of anybody's: it has the shape that a scanner knows.
HELD = "the key is " + "AKIA" + "ABCD2345EFGH6723"


def ready(owner):
    return [item["id"] for item in owner.json("pending")["items"] if "not_ready" not in item]


def pair(host, guest, extra):
    guest.json("connect", host.json("invite")["invite"], "--name", host.name)
    for owner in (guest, host):
        item = until(f"{owner.name} is asked", lambda: ready(owner))[0]
        owner.type(["approve", item, *extra], [owner.passphrase])
    for owner in (guest, host):
        until(f"{owner.name} trusts", lambda: [p for p in owner.json("peers")["peers"] if p["state"] == "trusted"])


def texts(owner):
    return [message["text"] for message in owner.json("inbox", "--limit", "100")["messages"]]


def said(alice, sent):
    """What has to be the same in every later version."""
    peers = alice.json("peers")["peers"]
    message = lambda id: alice.json("message", id)["state"]
    return {
        "id": alice.json("whoami")["id"],
        "peers": sorted([p["name"], p["state"], p["verified"]] for p in peers),
        "inbox": texts(alice),
        "sent": {id: message(id) for id in sent},
        "pending": sorted(item["id"] for item in alice.json("pending")["items"]),
        "grants": sorted(grant["id"] for grant in alice.json("grants")["grants"]),
        "tokens": sorted(token["name"] for token in alice.json("token", "list")["tokens"]),
        "known": sorted(value["label"] for value in alice.json("known", "list")["values"]),
        "policy": alice.json("policy", "show")["source"],
        "audit": alice.json("audit", "verify"),
    }


def talk(alice, bob, carol, work):
    pair(alice, bob, ["--verified"])
    pair(alice, carol, [])
    sent = [alice.json("send", "bob", f"alice writes number {n}: grüße, 你好")["id"] for n in range(3)]
    for number in range(3):
        bob.json("send", "alice", f"bob writes number {number}\nin two lines")
    until("bob's texts are there", lambda: len(texts(alice)) == 3)
    alice.json("inbox", "--mark-read", "--limit", "2")
    until("it arrived", lambda: alice.json("message", sent[-1])["state"] != "queued")
    # One passes by a grant, one is held for good, one waits for a peer that is away.
    first = alice.json("send", "bob", HELD)["id"]
    item = alice.json("pending")["items"][0]["id"]
    alice.type(["approve", item, "--for", "700"], [alice.passphrase])
    sent += [first, alice.json("send", "bob", HELD + " too")["id"]]
    until("it arrived", lambda: alice.json("message", sent[-1])["state"] != "queued")
    alice.json("send", "carol", HELD)
    alice.json("revoke", "carol")
    bob.stop()
    sent.append(alice.json("send", "bob", "for when you are back")["id"])
    policy = work / "policy.toml"
    policy.write_text(alice.json("policy", "show")["text"] + '\n[[ask]]\nname = "replies"\nkinds = ["reply"]\n')
    alice.json("policy", "set", str(policy))
    (work / "env").write_text("DATABASE_PASSWORD=correct-horse-battery-4711\n")
    alice.json("known", "add", str(work / "env"))
    alice.json("token", "new", "laptop")
    alice.json("audit", "rotate", "--keep", "10")
    return sent


def keep(alice, facts):
    home = pathlib.Path(alice.env["COUNTERSIGN_HOME"])
    database = home / "countersign.db"
    with sqlite3.connect(database) as db:
        schema = db.execute("PRAGMA user_version").fetchone()[0]
    target = FOLDER / f"schema{schema:02}"
    target.mkdir()
    for name in ("identity.key", "approver.key", "config.toml", "store.key"):
        if (home / name).exists():
            shutil.copyfile(home / name, target / name)
    for moved in home.glob("audit-*.jsonl"):
        shutil.copyfile(moved, target / moved.name)
    with open(target / "countersign.db.gz", "wb") as file:
        file.write(gzip.compress(database.read_bytes(), 9, mtime=0))
    facts["passphrase"] = alice.passphrase
    facts["made_s"] = int(time.time())
    (target / "said.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    return target


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        owners = []
        for name in ("alice", "bob", "carol"):
            (work / name).mkdir()
            owners.append(Owner(sys.argv[1], str(work / name), name))
        try:
            for owner in owners:
                owner.init()
            sent = talk(*owners, work)
            facts = said(owners[0], sent)
        finally:
            for owner in owners:
                owner.stop()
        print(keep(owners[0], facts))


main()
