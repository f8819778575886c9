// One call with a TypeScript SDK, by a client whose user answers every question in the same way.
// Prints the result and the questions as JSON.
// node elicit.mjs NODE_FOLDER SDK ERA WILL PROGRAM TOOL ARGUMENTS
//   SDK: v1 (@modelcontextprotocol/sdk) or v2 (@modelcontextprotocol/client)
//   ERA: legacy, auto or a version. WILL: accept, decline or throw

import { createRequire } from "node:module";
import path from "node:path";

const [folder, sdk, era, will, program, tool, given] = process.argv.slice(2);
const require = createRequire(path.resolve(folder, "elicit.cjs"));
const questions = [];

// Takes the most that a form could offer, whether it does or not.
async function answer({ params }) {
  questions.push(params);
  if (will === "throw") throw new Error("on purpose");
  if (will === "decline") return { action: "decline" };
  return { action: "accept", content: { decision: "approve" } };
}

const me = { name: "elicit", version: "1" };
const capabilities = { elicitation: { form: {} } };
const server = { command: program, args: ["mcp"], env: process.env };

async function client() {
  if (sdk === "v1") {
    const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
    const { ElicitRequestSchema } = require("@modelcontextprotocol/sdk/types.js");
    const client = new Client(me, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, answer);
    await client.connect(new StdioClientTransport(server));
    return client;
  }
  const { Client } = require("@modelcontextprotocol/client");
  const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");
  const mode = ["legacy", "auto"].includes(era) ? era : { pin: era };
  const client = new Client(me, { capabilities, versionNegotiation: { mode } });
  client.setRequestHandler("elicitation/create", answer);
  await client.connect(new StdioClientTransport(server));
  return client;
}

const agent = await client();
await agent.listTools();
let result;
try {
  result = await agent.callTool({ name: tool, arguments: JSON.parse(given) });
} catch (error) {
  result = { threw: error.message };
}
await agent.close();
console.log(JSON.stringify({ result, questions }));
