"""What `countersign bundle` makes, checked by the tools of those who take it, and what `countersign join`
writes, read by the clients themselves. They are installed in FOLDER by npm, at these versions:
    @anthropic-ai/mcpb@2.1.2 @anthropic-ai/claude-code@2.1.330 @openai/codex@0.169.0
python3 bundle.py PROGRAM FOLDER
Nothing of it needs an account or a network."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile

URL = "https://github.com/somebody/countersign/releases/download/v0/countersign.mcpb"
COMMANDS = ["ask-a-peer", "check-inbox", "introduce", "whats-waiting"]


class Case:
    def __init__(self, program, tools, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.tools = pathlib.Path(tools).resolve() / "node_modules/.bin"
        self.home = self.folder / "home"
        self.home.mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "COUNTERSIGN_HOME": str(self.folder / "h"),
            "COUNTERSIGN_NETWORK": "loopback",
            "COUNTERSIGN_TOKEN": "a-token",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def run(self, *words, fails=False):
        done = subprocess.run(
            [str(word) for word in words], env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120,
        )
        said = f"{' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}"
        assert (done.returncode != 0) == fails, f"exit code {done.returncode}: {said}"
        return done.stdout

    def tool(self, name, *words, **more):
        return self.run(self.tools / name, *words, **more)

    def countersign(self, *words, **more):
        return self.run(self.program, *words, **more)


def bundle(case):
    out = case.folder / "out"
    made = json.loads(case.countersign("bundle", out, "--url", URL, "--json"))
    mcpb, again = out / "countersign.mcpb", case.folder / "again"
    sha256 = hashlib.sha256(mcpb.read_bytes()).hexdigest()
    assert made["sha256"] == sha256, made
    case.countersign("bundle", again)
    assert (again / "countersign.mcpb").read_bytes() == mcpb.read_bytes(), "not the same bytes"
    case.countersign("bundle", again, fails=True)

    unpacked = case.folder / "unpacked"
    case.tool("mcpb", "unpack", mcpb, unpacked)
    case.tool("mcpb", "validate", unpacked / "manifest.json")
    case.tool("mcpb", "info", mcpb)
    program = unpacked / "bin/countersign"
    assert program.read_bytes() == pathlib.Path(case.program).read_bytes()
    assert case.run(program, "--version") == case.countersign("--version")
    # Packed by their tool, the same files are in it.
    case.tool("mcpb", "pack", unpacked, case.folder / "theirs.mcpb")
    ours, theirs = zipfile.ZipFile(mcpb), zipfile.ZipFile(case.folder / "theirs.mcpb")
    names = sorted(ours.namelist())
    assert names == sorted(theirs.namelist()), theirs.namelist()
    assert all(ours.read(name) == theirs.read(name) for name in names)
    # A manifest that is wrong is one that the tool refuses: it looks.
    manifest = json.loads((unpacked / "manifest.json").read_text())
    del manifest["server"]["entry_point"]
    (unpacked / "manifest.json").write_text(json.dumps(manifest))
    case.tool("mcpb", "validate", unpacked / "manifest.json", fails=True)
    registry(json.loads((out / "server.json").read_text()), sha256)
    print(f"mcpb: valid, {mcpb.stat().st_size} bytes, {len(names)} files")
    return out


def registry(entry, sha256):
    """What the registry's schema of 2025-12-11 and its publishing rules ask for."""
    schema = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
    assert entry["$schema"] == schema
    assert entry["name"] == "io.github.somebody/countersign"
    assert 1 <= len(entry["description"]) <= 100 and len(entry["version"]) <= 255
    [package] = entry["packages"]
    assert package["registryType"] == "mcpb" and package["transport"] == {"type": "stdio"}
    assert package["identifier"] == URL and package["fileSha256"] == sha256
    assert "version" not in package and "registryBaseUrl" not in package
    assert all(set(one) >= {"name", "description"} for one in package["environmentVariables"])
    print("server.json: as the schema says")


def plugin(case, out):
    """Claude Code's own validation, with warnings as errors, and what it finds in the plugin."""
    folder = out / "plugin"
    said = json.loads(case.tool("claude", "plugin", "validate", "--strict", "--json", folder))
    assert said["success"] and not said["manifest"]["warnings"], said
    provides = said["provides"]
    assert [hook["event"] for hook in provides["hooks"]] == ["SessionStart", "UserPromptSubmit"]
    [server] = provides["mcpServers"]
    assert server["target"] == "${CLAUDE_PLUGIN_ROOT}/bin/countersign", server
    assert server["args"] == ["mcp", "--channel"], server
    assert sorted(provides["commands"]) == [f"countersign:{name}" for name in COMMANDS], provides
    blocking = [one for one in said["directory"]["findings"] if one["blocking"]]
    assert not blocking, blocking
    case.tool("claude", "plugin", "validate", "--strict", out)
    # The catalogue can be added and the plugin installed from it.
    case.tool("claude", "plugin", "marketplace", "add", out)
    case.tool("claude", "plugin", "install", "countersign@countersign")
    assert "countersign@countersign" in case.tool("claude", "plugin", "list")
    print("plugin: valid, strictly; installed from its catalogue")


def joined(case):
    """The clients that can list their servers without an account read what `join` wrote."""
    case.countersign("join", "claude-code", "--write")
    case.countersign("join", "claude-code", "--http", "--name", "over-http", "--write")
    said = case.tool("claude", "mcp", "get", "countersign")
    for words in [f"Command: {case.program}", "Args: mcp", "COUNTERSIGN_NETWORK=loopback"]:
        assert words in said, said
    assert "Type: http" in case.tool("claude", "mcp", "get", "over-http")

    case.countersign("join", "codex", "--write")
    case.countersign("join", "codex", "--http", "--name", "over-http", "--write")
    tomllib.loads((case.home / ".codex/config.toml").read_text())
    listed = {one["name"]: one for one in json.loads(case.tool("codex", "mcp", "list", "--json"))}
    process = listed["countersign"]["transport"]
    assert process["command"] == case.program and process["args"] == ["mcp"], process
    assert process["env"]["COUNTERSIGN_NETWORK"] == "loopback", process
    http = listed["over-http"]["transport"]
    assert http["bearer_token_env_var"] == "COUNTERSIGN_TOKEN", http
    assert http["url"].endswith("/mcp"), http
    print("join: read by Claude Code and Codex")


def main():
    program, tools = os.path.realpath(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory(prefix="cs") as folder:
        case = Case(program, tools, folder)
        try:
            out = bundle(case)
            plugin(case, out)
            joined(case)
        finally:
            # A client that looks whether a server answers starts one, and that starts a node.
            subprocess.run([program, "stop"], env=case.env, capture_output=True, timeout=60)


if __name__ == "__main__":
    main()
