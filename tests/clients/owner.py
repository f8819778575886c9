"""An owner at a terminal: runs countersign's commands in one home, and types the passphrase where
a person would, on a pseudo-terminal. Standard library only."""

import json
import os
import pty
import select
import subprocess
import termios
import time

SECONDS = 60


class Owner:
    def __init__(self, program, home, name):
        self.program = os.path.abspath(program)
        self.name = name
        self.passphrase = f"{name} gravel violin borrowed a copper umbrella"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "COUNTERSIGN_HOME": os.path.join(home, "h"),
            "COUNTERSIGN_NETWORK": "loopback",
            "TERM": "dumb",
        }

    def init(self):
        # No test asks the keyring of whoever runs it.
        home = self.env["COUNTERSIGN_HOME"]
        os.makedirs(home, mode=0o700, exist_ok=True)
        with open(os.path.join(home, "config.toml"), "w") as config:
            config.write(f"name = \"{self.name}\"\n\n[storage]\nkey = \"file\"\n")
        self.type(["init", "--name", self.name], [self.passphrase, self.passphrase])

    def approve(self, item):
        self.type(["approve", item], [self.passphrase])

    def json(self, *arguments):
        done = subprocess.run(
            [self.program, *arguments, "--json"],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if done.returncode not in (0, 3):
            raise RuntimeError(f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return json.loads(done.stdout)

    def stop(self):
        subprocess.run([self.program, "stop"], env=self.env, capture_output=True, timeout=SECONDS)

    def type(self, arguments, lines):
        """Runs a command on a terminal, and types a line whenever one is asked for unseen."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(self.program, [self.program, *arguments], self.env)
        lines, screen, seen = list(lines), b"", 0
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.02)[0]:
                try:
                    part = os.read(terminal, 4096)
                except OSError:  # Linux: the other side has closed.
                    part = b""
                if not part:
                    break
                screen += part
            elif lines and self.asks(terminal, screen[seen:]):
                seen = len(screen)
                os.write(terminal, lines.pop(0).encode() + b"\r")
        else:
            os.kill(pid, 9)
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code != 0:
            raise RuntimeError(f"{arguments}: {code}\n{screen.decode(errors='replace')}")

    @staticmethod
    def asks(terminal, new):
        hidden = not termios.tcgetattr(terminal)[3] & termios.ECHO
        return hidden and new.rpartition(b"\n")[2].strip() != b""
