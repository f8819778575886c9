"""Two agents with the official Python SDK, each through its own `countersign mcp`: they list the
tools, pair after both owners said yes on their terminals, and talk. Any warning is a failure.
python3 python_sdk.py PROGRAM"""

import asyncio
import logging
import sys
import tempfile
import time
import warnings

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from owner import Owner

TOOLS = [
    "peer_ask",
    "peer_connect",
    "peer_inbox",
    "peer_invite",
    "peer_read",
    "peer_send",
    "peer_status",
    "peer_whoami",
    "trust_list",
    "trust_revoke",
]


class Complaints(logging.Handler):
    """What the SDK complains about."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def client(owner, mode):
    server = StdioServerParameters(command=owner.program, args=["mcp"], env=owner.env)
    return Client(server, mode=mode)


async def call(agent, tool, **arguments):
    result = await agent.call_tool(tool, arguments)
    assert not result.is_error, f"{tool}: {result.content}"
    return result.structured_content


async def until(what, condition):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = await condition()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise TimeoutError(what)


async def approve(owner):
    async def item():
        items = owner.json("pending")["items"]
        return next((i["id"] for i in items if i.get("words") and not i.get("not_ready")), None)

    owner.approve(await until(f"{owner.name} is asked", item))


async def conversation(alice, bob, modes):
    async with client(alice, modes[0]) as at_alice, client(bob, modes[1]) as at_bob:
        for agent in (at_alice, at_bob):
            tools = (await agent.list_tools()).tools
            assert sorted(tool.name for tool in tools) == TOOLS, tools
        me = await call(at_alice, "peer_whoami")
        assert me["name"] == alice.name, me
        invite = await call(at_alice, "peer_invite")
        await call(at_bob, "peer_connect", invite=invite["invite"], name="alice")
        await approve(bob)
        await approve(alice)

        async def trusted():
            peers = await call(at_alice, "trust_list", state="trusted")
            return peers["peers"]

        peer = (await until("alice trusts bob", trusted))[0]["name"]
        asking = asyncio.create_task(
            call(at_alice, "peer_ask", to=peer, text="which port?", wait_seconds=30)
        )
        inbox = await call(at_bob, "peer_inbox", wait_seconds=30)
        request = inbox["messages"][0]
        assert "which port?" in request["text"] and request["untrusted"], request
        await call(at_bob, "peer_send", to="alice", text="7000", reply_to=request["id"])
        answer = await asking
        assert "7000" in answer["reply"]["text"], answer


async def main(program):
    warnings.simplefilter("error")
    # Our own pseudo-terminal: its child does nothing between fork and exec.
    warnings.filterwarnings("ignore", message=".*forkpty")
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    for modes in (("auto", "legacy"), ("2026-07-28", "auto")):
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            alice, bob = Owner(program, a, "alice"), Owner(program, b, "bob")
            try:
                alice.init()
                bob.init()
                await asyncio.wait_for(conversation(alice, bob, modes), 120)
            finally:
                alice.stop()
                bob.stop()
        print(f"a conversation with modes {modes}: well")
    assert not complaints.said, complaints.said


asyncio.run(main(sys.argv[1]))
