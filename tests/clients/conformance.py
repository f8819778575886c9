"""Runs the official MCP conformance suite, with all requirements of two versions, against a real
node whose program is a test build (`--features fixtures`). Fails where a scored scenario fails, or
where there are fewer of them than there were.
python3 conformance.py PROGRAM NODE_PREFIX FOLDER      the suite's own output is kept in FOLDER"""

import asyncio
import glob
import json
import os
import re
import shutil
import sys
import tempfile
import time

from homes import Home, node_of

# How many scenarios count for a server.
SCORED = {"2025-11-25": 30, "2026-07-28": 37}
SECONDS = 120


class Porter:
    """Brings the suite to the node: it cannot send a token itself. Each connection carries one
    request, whose bytes and whose answer's bytes pass as they are; in the head the token comes in,
    and where the suite names this place, the node's stands. What else it names stays."""

    def __init__(self, port, token):
        self.port, self.token, self.tasks = port, token, set()

    async def open(self):
        self.server = await asyncio.start_server(self.carry, "127.0.0.1", 0)
        self.here = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        return f"http://{self.here}/mcp"

    async def carry(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            to_node = await asyncio.open_connection("127.0.0.1", self.port)
            to_node[1].write(self.rewritten(head))
            pumps = [pump(reader, to_node[1]), pump(to_node[0], writer)]
            pumps = [asyncio.create_task(work) for work in pumps]
            # The answer's end, or a client that leaves, ends both.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for task in pumps:
                task.cancel()
            to_node[1].close()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # It left, which is for the suite to judge.
        finally:
            writer.close()
            self.tasks.discard(asyncio.current_task())

    def rewritten(self, head):
        lines = []
        for line in head.decode("latin-1").split("\r\n")[:-2]:
            name, _, value = line.partition(":")
            if name.lower() in ("host", "origin"):
                line = f"{name}:{value.replace(self.here, f'127.0.0.1:{self.port}')}"
            if name.lower() not in ("connection", "authorization"):
                lines.append(line)
        lines += [f"Authorization: Bearer {self.token}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1")


async def pump(reader, writer):
    try:
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    except ConnectionError:
        pass  # As above.


def scored(suite, version):
    """The names of the scenarios that count, from the suite's own list."""
    with open(os.path.join(suite, "requirements", f"{version}.yaml"), encoding="utf-8") as lines:
        section = re.search(r"^server:\n((?:[ #].*\n|\n)*)", lines.read(), re.MULTILINE).group(1)
    return re.findall(r"^  - (\S+)", section, re.MULTILINE)


def passed(folder):
    """The scenarios that passed: something was checked, and nothing failed."""
    names = set()
    for path in glob.glob(os.path.join(folder, "**", "checks.json"), recursive=True):
        name = os.path.basename(os.path.dirname(path))
        name = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", name)
        with open(path, encoding="utf-8") as file:
            said = [check["status"] for check in json.load(file)]
        if "SUCCESS" in said and "FAILURE" not in said:
            names.add(name)
    return names


def not_scored(folder):
    """What the suite says of those that do not count: how many, and which fail, and why."""
    with open(os.path.join(folder, "output.txt"), encoding="utf-8") as lines:
        _, _, said = lines.read().partition("\nNot scored for ")
    failing = re.findall(r"^  ✗ (\S+ \(.*\))$", said, re.MULTILINE)
    number = len(re.findall(r"^  [✗✓] ", said, re.MULTILINE))
    named = f", failing: {', '.join(failing)}" if failing else ""
    return f"not scored {number - len(failing)}/{number}{named}"


async def run(node, suite, version, url, folder):
    """Runs one set, and says how it went; true where it went well."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    begun = time.monotonic()
    with open(os.path.join(folder, "output.txt"), "wb") as output:
        words = [os.path.join(suite, "dist", "index.js"), "server", "--url", url]
        words += ["--requirements", version, "-o", folder]
        child = await asyncio.create_subprocess_exec(node, *words, stdout=output, stderr=output)
        code = await asyncio.wait_for(child.wait(), SECONDS)
    wanted, good = scored(suite, version), passed(folder)
    well = [name for name in wanted if name in good]
    print(
        f"{version}: {len(well)}/{len(wanted)} scored scenarios, exit code {code},"
        f" {time.monotonic() - begun:.1f} s; {not_scored(folder)}"
    )
    missing = [name for name in wanted if name not in well]
    if missing:
        print(f"FAILED: {', '.join(missing)}; see {folder}/output.txt")
    return not missing and code == 0 and len(wanted) == SCORED[version]


async def main(program, prefix, folder):
    suite = os.path.join(prefix, "node_modules", "@modelcontextprotocol", "conformance")
    with tempfile.TemporaryDirectory(prefix="cs") as home:
        home = Home(program, home, "conformance")
        try:
            home.begin()
            porter = Porter(home.port, home.token("conformance"))
            url = await porter.open()
            sets = [(version, os.path.join(folder, version)) for version in SCORED]
            well = [await run(node_of(prefix), suite, *one[:1], url, *one[1:]) for one in sets]
        finally:
            home.stop()
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
