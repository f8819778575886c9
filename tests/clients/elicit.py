"""Clients that answer for their user, with other people's SDKs, in both eras of the protocol. One
that accepts every question by itself gets neither a new peer nor a message approved; one that
declines denies.
python3 elicit.py PROGRAM            with the Python SDK
python3 elicit.py PROGRAM FOLDER     with the TypeScript SDKs, which are installed in FOLDER"""

import asyncio
import json
import logging
import os
import re
import sys
import tempfile
import time

from owner import Owner

SECRET = "key: AKIA" + "ABCDEFGHIJKLMNOP"
PYTHON = ["legacy", "auto", "2026-07-28"]
TYPESCRIPT = [("v1", "legacy"), ("v2", "legacy"), ("v2", "auto"), ("v2", "2026-07-28")]


class PythonClient:
    def __init__(self, era):
        self.era = era

    def __str__(self):
        return f"the Python SDK, {self.era}"

    async def call(self, owner, will, tool, arguments):
        from mcp.client.client import Client
        from mcp.client.stdio import StdioServerParameters
        from mcp.types import ElicitResult

        questions = []

        async def answer(_context, question):
            questions.append(question.model_dump(by_alias=True, mode="json"))
            if will == "throw":
                raise RuntimeError("on purpose")
            if will == "decline":
                return ElicitResult(action="decline")
            return ElicitResult(action="accept", content={"decision": "approve"})

        server = StdioServerParameters(command=owner.program, args=["mcp"], env=owner.env)
        async with Client(server, mode=self.era, elicitation_callback=answer) as agent:
            try:
                result = await agent.call_tool(tool, arguments)
            except Exception:
                if will != "throw":
                    raise
                return None, questions
        return result.model_dump(by_alias=True, mode="json"), questions


class NodeClient:
    def __init__(self, folder, sdk, era):
        self.folder, self.sdk, self.era = folder, sdk, era

    def __str__(self):
        return f"the TypeScript SDK {self.sdk}, {self.era}"

    async def call(self, owner, will, tool, arguments):
        script = os.path.join(os.path.dirname(__file__), "elicit.mjs")
        words = [self.folder, self.sdk, self.era, will, owner.program, tool, json.dumps(arguments)]
        process = await asyncio.create_subprocess_exec(
            "node", script, *words, env=owner.env, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, f"{self}: node ended with {process.returncode}"
        answer = json.loads(said)
        threw = "threw" in answer["result"]
        assert not threw or will == "throw", answer["result"]
        return None if threw else answer["result"], answer["questions"]


async def until(what, condition):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise TimeoutError(what)


def ready(owner):
    items = owner.json("pending")["items"]
    return next((i["id"] for i in items if i.get("words") and not i.get("not_ready")), None)


def trusts(owner, name):
    peers = owner.json("peers")["peers"]
    return any(p["name"] == name and p["state"] == "trusted" for p in peers)


def decisions(owner):
    events = [record["event"] for record in owner.json("audit", "show")["records"]]
    return [(e["decision"], e["method"]) for e in events if e["event"] == "decided"]


def offered(questions):
    """The options of the one question that was asked."""
    assert len(questions) == 1, questions
    field = questions[0]["requestedSchema"]["properties"]["decision"]
    return field.get("enum") or [option["const"] for option in field["oneOf"]]


async def story(client, alice, bob):
    invite = alice.json("invite")["invite"]
    connect = {"invite": invite, "name": "alice"}
    result, questions = await client.call(bob, "accept", "peer_connect", connect)
    assert offered(questions) == ["later", "deny"], questions
    assert result["structuredContent"]["state"] == "requested", result
    waits = ready(bob)
    assert waits and waits == result["structuredContent"]["pending"], result
    assert not trusts(bob, "alice") and decisions(bob) == [], decisions(bob)
    words = bob.json("pending")["items"][0]["words"]
    # One of them may stand in our own sentence by chance.
    shown = re.findall("[a-z]+", json.dumps(questions))
    assert sum(word in shown for word in words) < 3, (words, questions)

    bob.approve(waits)
    alice.approve(await until("alice is asked", lambda: ready(alice)))
    await until("bob trusts alice", lambda: trusts(bob, "alice"))
    message = {"to": "alice", "text": SECRET}
    for tool in ("peer_send", "peer_ask"):
        result, questions = await client.call(bob, "accept", tool, message)
        assert offered(questions) == ["later", "deny"], questions
        assert SECRET in questions[0]["message"], questions
        assert result["structuredContent"]["state"] == "held", result
    assert len(bob.json("pending")["items"]) == 2
    assert decisions(bob) == [("approved", "passphrase")], decisions(bob)

    for tool in ("peer_send", "peer_ask"):
        result, questions = await client.call(bob, "decline", tool, message)
        assert result["structuredContent"]["state"] == "denied", result
        assert "do not send it again" in result["structuredContent"]["next"], result
        result, questions = await client.call(bob, "accept", tool, message)
        assert result["isError"] and not questions, result
        assert "your human said no to exactly this message" in result["content"][0]["text"], result
    assert decisions(bob)[1:] == [("denied", "client")] * 2, decisions(bob)
    # Where the client carries the question, it is the client's own call that fails. Last: a
    # question that nobody took back is open for a while, and one is open at a time.
    again = {"to": "alice", "text": f"again: {SECRET}"}
    result, questions = await client.call(bob, "throw", "peer_send", again)
    assert len(questions) == 1 and (result or client.era != "legacy"), result
    assert result is None or result["structuredContent"]["state"] == "held", result
    assert len(bob.json("pending")["items"]) == 1
    assert len(decisions(bob)) == 3, decisions(bob)
    assert alice.json("inbox")["messages"] == []


async def main(program, *folder):
    # The SDK tells of the handler that throws on purpose.
    logging.disable(logging.ERROR)
    node = [NodeClient(*folder, sdk, era) for sdk, era in TYPESCRIPT] if folder else []
    for client in node or [PythonClient(era) for era in PYTHON]:
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            alice, bob = Owner(program, a, "alice"), Owner(program, b, "bob")
            try:
                alice.init()
                bob.init()
                await asyncio.wait_for(story(client, alice, bob), 120)
            finally:
                alice.stop()
                bob.stop()
        print(f"a user of {client}: well")


asyncio.run(main(*sys.argv[1:]))
