// One conversation of a TypeScript SDK's client with a peer: lists the tools, sends a question, waits
// for the answer and reads it. Prints what it got as JSON.
// node conversation.mjs NODE_PREFIX SDK      with the rest in the environment's JOB: see transports.py
//   SDK: v1 (@modelcontextprotocol/sdk) or v2 (@modelcontextprotocol/client)

import { createRequire } from "node:module";
import path from "node:path";

const PAGES_MAX = 20;
const [folder, sdk] = process.argv.slice(2);
const require = createRequire(path.resolve(folder, "conversation.cjs"));
const job = JSON.parse(process.env.JOB);
const me = { name: "conversation", version: "1" };

function classes() {
  if (sdk === "v1") {
    const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
    const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const { SSEClientTransport } = require("@modelcontextprotocol/sdk/client/sse.js");
    return { Client, StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport };
  }
  const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");
  return { ...require("@modelcontextprotocol/client"), StdioClientTransport };
}

const known = classes();
const Authorization = `Bearer ${job.token}`;
const requestInit = { headers: { Authorization } };

function transport() {
  if (job.transport === "stdio") {
    return new known.StdioClientTransport({ command: job.program, args: ["mcp"], env: job.env });
  }
  const url = new URL(job.url);
  if (job.transport === "http") return new known.StreamableHTTPClientTransport(url, { requestInit });
  // Where an event source takes no headers, its requests do.
  const withToken = (to, how) => fetch(to, { ...how, headers: { ...how?.headers, Authorization } });
  return new known.SSEClientTransport(url, { requestInit, eventSourceInit: { fetch: withToken } });
}

const mode = ["legacy", "auto"].includes(job.era) ? job.era : { pin: job.era };
const agent = new known.Client(me, sdk === "v1" ? {} : { versionNegotiation: { mode } });
const begun = transport();
await agent.connect(begun);

async function call(name, given) {
  const result = await agent.callTool({ name, arguments: given });
  if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
  return result.structuredContent;
}

async function answer() {
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const inbox = await call("peer_inbox", { unread: true, wait_seconds: 30 });
    const found = inbox.messages.find(({ text }) => text.includes(`answer ${job.word}`));
    if (found) return found;
  }
  throw new Error("no answer came");
}

const tools = (await agent.listTools()).tools.map(({ name }) => name).sort();
const sent = await call("peer_send", { to: job.to, text: `question ${job.word}` });
const read = await call("peer_read", { id: (await answer()).id });
const version = agent.getNegotiatedProtocolVersion?.() ?? begun.protocolVersion ?? null;
await agent.close();
console.log(JSON.stringify({ version, tools, sent, read }));
