"""One conversation of a client in Python with a peer: lists the tools, sends a question, waits for the
answer and reads it. Prints what it got as JSON. Any warning of its library is in the output.
python3 conversation.py CLIENT      with the rest in the environment's JOB: see transports.py"""

import asyncio
import json
import logging
import os
import sys
from contextlib import asynccontextmanager

PAGES_MAX = 20


@asynccontextmanager
async def python_sdk(job):
    import httpx2
    from mcp.client.client import Client
    from mcp.client.sse import sse_client
    from mcp.client.stdio import StdioServerParameters
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {job['token']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        if job["transport"] == "stdio":
            to = StdioServerParameters(command=job["program"], args=["mcp"], env=job["env"])
        elif job["transport"] == "http":
            to = streamable_http_client(job["url"], http_client=http)
        else:
            to = sse_client(job["url"], headers=headers)
        async with Client(to, mode=job["era"]) as client:
            yield client, client.protocol_version, (await client.list_tools()).tools


@asynccontextmanager
async def fastmcp(job):
    from fastmcp import Client
    from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport

    headers = {"Authorization": f"Bearer {job['token']}"}
    if job["transport"] == "stdio":
        to = StdioTransport(job["program"], ["mcp"], env=job["env"])
    elif job["transport"] == "http":
        to = StreamableHttpTransport(job["url"], headers=headers)
    else:
        to = SSETransport(job["url"], headers=headers)
    async with Client(to, mode=job["era"]) as client:
        yield client, client.session.protocol_version, await client.list_tools()


async def call(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, f"{tool}: {result.content}"
    return result.structured_content


async def answer_of(client, word):
    for _ in range(PAGES_MAX):
        inbox = await call(client, "peer_inbox", unread=True, wait_seconds=30)
        for message in inbox["messages"]:
            if f"answer {word}" in message["text"]:
                return message
    raise RuntimeError("no answer came")


async def main(which, job):
    clients = {"Python SDK": python_sdk, "fastmcp": fastmcp}
    async with clients[which](job) as (client, version, tools):
        question = f"question {job['word']}"
        sent = await call(client, "peer_send", to=job["to"], text=question)
        answer = await answer_of(client, job["word"])
        read = await call(client, "peer_read", id=answer["id"])
    names = sorted(tool.name for tool in tools)
    print(json.dumps({"version": version, "tools": names, "sent": sent, "read": read}))


logging.captureWarnings(True)
asyncio.run(main(sys.argv[1], json.loads(os.environ["JOB"])))
