"""Homes whose nodes serve MCP over HTTP and SSE, on a port of their own. Standard library only."""

import glob
import os
import socket
import time

from owner import SECONDS, Owner


def node_of(prefix):
    """Node.js as a package below `prefix`, where it is newer than the machine's; or the machine's."""
    found = glob.glob(os.path.join(os.path.abspath(prefix), "node_modules/node-*-*/bin/node"))
    return found[0] if found else "node"


def until(what, condition):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(what)


class Home(Owner):
    def begin(self):
        """Makes the home, with HTTP and SSE on, and starts its node."""
        self.init()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with open(os.path.join(self.env["COUNTERSIGN_HOME"], "config.toml"), "a") as config:
            config.write(f"\n[page]\nport = {self.port}\n\n[mcp]\nsse = true\n")
        self.json("peers")

    def token(self, name):
        return self.json("token", "new", name)["token"]

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def ready(self):
        """What waits for this human and can be decided."""
        items = self.json("pending")["items"]
        return next((i["id"] for i in items if i.get("words") and not i.get("not_ready")), None)


def pair(host, guest):
    """Both humans say yes."""
    guest.json("connect", host.json("invite")["invite"], "--name", host.name)
    for owner in (guest, host):
        owner.approve(until(f"{owner.name} is asked", owner.ready))
    for owner in (guest, host):
        trusted = lambda: [p for p in owner.json("peers")["peers"] if p["state"] == "trusted"]
        until(f"{owner.name} trusts", trusted)
