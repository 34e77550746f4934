// The official `openai` client for Node, unmodified, against a served policy.
//
// Usage: node openai_client.mjs --svs PATH --modules FOLDER
// Starts `svs serve` on a free port, talks to it, and exits non-zero at the first difference.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({ options: { svs: { type: "string" }, modules: { type: "string" } } });
const require = createRequire(join(options.modules, "package.json"));
const OpenAI = require("openai");
const { version } = JSON.parse(readFileSync(join(options.modules, "node_modules/openai/package.json")));

const model = "policy";
const key = "conformance";
const question = "Tom has 3 apples and buys 4 more. How many apples has he now?";
const messages = [{ role: "user", content: question }];

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function waitUntilUp(server, url) {
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    assert.equal(server.exitCode, null, "svs serve ended");
    const answer = await fetch(`${url}/health`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail("svs serve did not answer within 120 s");
}

async function chat(client) {
  const asked = { model, messages, seed: 7, max_completion_tokens: 24 };
  const whole = await client.chat.completions.create({ ...asked, logprobs: true, top_logprobs: 2 });
  assert.equal(whole.choices[0].logprobs.content.length, whole.usage.completion_tokens);
  let [text, usage] = ["", undefined];
  const stream = await client.chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(usage, whole.usage);
  const schema = { type: "object", properties: { fruit: { enum: ["apples", "pears"] } }, required: ["fruit"], additionalProperties: false };
  const parsed = await client.chat.completions.parse({
    model, messages, max_completion_tokens: 200, temperature: 0,
    response_format: { type: "json_schema", json_schema: { name: "answer", schema } },
  });
  assert.ok(["apples", "pears"].includes(JSON.parse(parsed.choices[0].message.content).fruit));
}

async function embeddings(client) {
  const input = ["Three apples and four.", "Two pears."];
  // The client asks for base64 and decodes it.
  const coded = await client.embeddings.create({ model, input });
  const listed = await client.embeddings.create({ model, input, encoding_format: "float" });
  coded.data.forEach((one, index) => {
    const square = one.embedding.reduce((sum, value) => sum + value * value, 0);
    assert.ok(Math.abs(square - 1) < 1e-5, `length ${square}`);
    one.embedding.forEach((value, at) => assert.ok(Math.abs(value - listed.data[index].embedding[at]) < 1e-7));
  });
}

async function responses(client, url) {
  const asked = { model, max_output_tokens: 24, seed: 7 };
  const whole = await client.responses.create({ ...asked, input: question });
  assert.deepEqual((await client.responses.retrieve(whole.id)).output, whole.output);
  const events = [];
  for await (const event of await client.responses.create({ ...asked, input: question, stream: true })) events.push(event);
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), whole.output_text);
  const stored = await client.responses.create({ ...asked, input: "Again?", previous_response_id: whole.id });
  const history = [...messages, ...whole.output, { role: "user", content: "Again?" }];
  const spelled = await client.responses.create({ ...asked, input: history });
  assert.equal(stored.output_text, spelled.output_text);
  const control = (path) => fetch(`${url}${path}`, { method: "POST", headers: { Authorization: `Bearer ${key}` } });
  assert.ok((await control("/pause?mode=keep")).ok);
  const begun = await client.responses.create({ model, input: question, background: true });
  assert.equal((await client.responses.cancel(begun.id)).status, "cancelled");
  assert.ok((await control("/resume")).ok);
  await client.responses.delete(whole.id);
  await assert.rejects(client.responses.retrieve(whole.id), OpenAI.NotFoundError);
}

async function errors(client) {
  const refused = (fields, param) =>
    assert.rejects(client.chat.completions.create({ model, messages, max_tokens: 1, ...fields }), { param });
  await refused({ model: "gpt-nine" }, "model");
  await refused({ temperature: -1 }, "temperature");
  await refused({ surprise: 1 }, "surprise");
  await assert.rejects(client.responses.create({ model, input: question, reasoning: { effort: "low" } }), { param: "reasoning" });
}

const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const runs = mkdtempSync(join(tmpdir(), "svs-"));
const server = spawn(
  options.svs,
  ["serve", "--port", `${port}`, "--runs", runs, "--served-model-name", model],
  { env: { ...process.env, SVS_API_KEY: key }, stdio: ["ignore", "ignore", "inherit"] },
);
const ended = new Promise((resolve) => server.once("exit", (code) => resolve(code)));
try {
  await waitUntilUp(server, url);
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 120_000 });
  await chat(client);
  await embeddings(client);
  await responses(client, url);
  await errors(client);
} finally {
  server.kill("SIGTERM");
  const code = await ended;
  rmSync(runs, { recursive: true, force: true });
  assert.equal(code, 0, `svs serve ended with exit code ${code}`);
}
console.log(`openai ${version} for Node: chat, streams, embeddings, responses, errors`);
