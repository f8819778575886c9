"""The same conversation over stdio, HTTP and SSE, in the old era of the protocol and the new, by
clients that other people made: each lists the tools, sends a question to a peer, waits for the answer
and reads it.
python3 transports.py PROGRAM VENV NODE_PREFIX      clients in Python from VENV, in Node.js from
NODE_PREFIX"""

import json
import os
import subprocess
import sys
import tempfile
import time

from homes import Home, pair, until

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = sorted(
    name[: -len(".md")] for name in os.listdir(os.path.join(HERE, "..", "..", "tools"))
)
NEW = "2026-07-28"
SECONDS = 60
PATHS = {"stdio": "", "http": "/mcp", "sse": "/sse"}
ALL = ("legacy", "auto", NEW)
# Which eras each client can be told to speak, by transport. SSE was gone before the new one.
CLIENTS = {
    "Python SDK": {"stdio": ALL, "http": ALL, "sse": ("legacy",)},
    "fastmcp": {"stdio": ALL, "http": ALL, "sse": ("legacy",)},
    "TypeScript SDK v1": {"stdio": ("legacy",), "http": ("legacy",), "sse": ("legacy",)},
    "TypeScript SDK v2": {"stdio": ALL, "http": ALL, "sse": ("legacy",)},
    "Inspector": {"stdio": ("legacy", "modern"), "http": ("legacy", "modern"), "sse": ("legacy",)},
}


class Runner:
    def __init__(self, venv, prefix, alice, bob):
        self.python = os.path.join(venv, "bin", "python")
        self.prefix, self.alice, self.bob = prefix, alice, bob
        self.token = alice.token("clients")
        self.number = 0

    def run(self, client, transport, era):
        """One conversation; what went wrong, or nothing."""
        self.number += 1
        word = f"number-{self.number}-"
        job = {
            "program": self.alice.program,
            "env": self.alice.env,
            "transport": transport,
            "url": self.alice.url(PATHS[transport]),
            "token": self.token,
            "era": era,
            "to": self.bob.name,
            "word": word,
        }
        talk = self.inspector if client == "Inspector" else self.script
        return talk(client, job)

    def script(self, client, job):
        if client.startswith("TypeScript"):
            script = os.path.join(HERE, "conversation.mjs")
            command = ["node", script, self.prefix, client.rpartition(" ")[2]]
        else:
            command = [self.python, os.path.join(HERE, "conversation.py"), client]
        env = {**self.alice.env, "JOB": json.dumps(job)}
        with subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            try:
                self.answer(job["word"], child)
                said, complaints = child.communicate(timeout=SECONDS)
            except Exception as problem:
                child.kill()
                return f"{problem} {child.communicate()}"
        if child.returncode != 0 or complaints.strip():
            return f"{child.returncode} {said} {complaints}"
        return self.judge(job, json.loads(said))

    def inspector(self, _client, job):
        """Each call is a process of its own."""
        config = {"type": "stdio", "command": job["program"], "args": ["mcp"], "env": job["env"]}
        if job["transport"] != "stdio":
            kind = {"http": "streamable-http"}.get(job["transport"], job["transport"])
            headers = {"Authorization": f"Bearer {job['token']}"}
            config = {"type": kind, "url": job["url"], "headers": headers}
        path = os.path.join(self.alice.env["HOME"], "mcp.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"mcpServers": {"countersign": config}}, file)
        program = os.path.join(self.prefix, "node_modules", ".bin", "mcp-inspector")
        base = [program, "--cli", "--config", path, "--server", "countersign", "--format", "json"]
        base += ["--protocol-era", job["era"], "--method"]
        env = {**self.alice.env, "MCP_INSPECTOR_SECRET_STORE": "memory"}

        def ask(*words):
            done = subprocess.run(
                base + list(words), env=env, capture_output=True, text=True, timeout=SECONDS
            )
            if done.returncode != 0:
                raise RuntimeError(f"{words}: {done.returncode} {done.stdout} {done.stderr}")
            return json.loads(done.stdout)["result"]

        def call(tool, **given):
            words = ["--tool-name", tool, "--tool-args-json", json.dumps(given)]
            return ask("tools/call", *words)["structuredContent"]

        try:
            tools = sorted(tool["name"] for tool in ask("tools/list")["tools"])
            sent = call("peer_send", to=job["to"], text=f"question {job['word']}")
            self.answer(job["word"], None)
            wanted = f"answer {job['word']}"
            inbox = call("peer_inbox", unread=True, wait_seconds=30, limit=100)
            found = [m for m in inbox["messages"] if wanted in m["text"]]
            read = call("peer_read", id=found[0]["id"])
        except Exception as problem:
            return repr(problem)
        return self.judge(job, {"version": None, "tools": tools, "sent": sent, "read": read})

    def answer(self, word, child):
        """The peer answers the question, as soon as it came."""

        def arrived():
            if child and child.poll() not in (None, 0):
                raise RuntimeError("the client ended early")
            return self.bob.json("inbox", "--query", f"question {word}")["messages"]

        question = until("the question arrives", arrived)[0]
        self.bob.json("send", self.alice.name, f"answer {word}", "--reply-to", question["id"])

    def judge(self, job, got):
        """What is wrong with what a client got, or nothing."""
        era, version, read = job["era"], got["version"], got["read"]
        new = version is None or (version == NEW) == (era != "legacy")
        checks = {
            "the tools": got["tools"] == TOOLS,
            "the message's state": got["sent"]["state"] == "queued",
            "the protocol's version": new,
            "the answer": f"\nanswer {job['word']}\n" in read["text"] and read["untrusted"],
            "what it answers": read.get("reply_to") == got["sent"]["id"],
        }
        wrong = [name for name, good in checks.items() if not good]
        return f"{', '.join(wrong)}: {got}" if wrong else ""


def main(program, venv, prefix):
    failed = 0
    with tempfile.TemporaryDirectory(prefix="cs") as a, tempfile.TemporaryDirectory(prefix="cs") as b:
        alice, bob = Home(program, a, "alice"), Home(program, b, "bob")
        try:
            alice.begin()
            bob.begin()
            pair(alice, bob)
            runner = Runner(venv, prefix, alice, bob)
            for client, transports in CLIENTS.items():
                for transport, eras in transports.items():
                    for era in eras:
                        begun = time.monotonic()
                        wrong = runner.run(client, transport, era)
                        failed += bool(wrong)
                        how = f"FAILED {wrong}" if wrong else f"ok, {time.monotonic() - begun:.1f} s"
                        print(f"{client:18} {transport:6} {era:11} {how}", flush=True)
        finally:
            alice.stop()
            bob.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
