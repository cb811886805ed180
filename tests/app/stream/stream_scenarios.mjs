// What programs do with the Node client's stream helpers: node FILE FOLDER URL KEY, FOLDER has node_modules.
// Prints one JSON object: the client's version, and for each scenario null or what went wrong.
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const [folder, baseURL, apiKey] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const { OpenAI } = require("openai");
const { VERSION } = require("openai/version.js");

const client = new OpenAI({ baseURL, apiKey });
const threads = client.beta.threads;
const long = { text: "a rather long argument ".repeat(10) };
const call = (...names) => ({ tool_calls: names.map((name) => ({ name, arguments: long })) });
const tools = ["a", "b"].map((name) => ({ type: "function", function: { name } }));
const assistant_id = (await client.beta.assistants.create({ model: "scripted", tools })).id;

const threadWith = async (...entries) =>
  (await threads.create({ messages: [{ role: "user", content: JSON.stringify({ script: entries }) }] })).id;
const streamed = async (...entries) => threads.runs.stream(await threadWith(...entries), { assistant_id });
const answers = (run, ...outputs) =>
  run.required_action.submit_tool_outputs.tool_calls.map((one, n) => ({ tool_call_id: one.id, output: outputs[n] }));

const scenarios = {
  async a_text_is_heard_as_it_comes() {
    const text = "one\u2028two\u0085three\u000b \u{1f600} ".repeat(20);
    const stream = await streamed({ say: text, chunk_ms: 10 });
    const deltas = [];
    let done;
    stream.on("textDelta", (delta) => deltas.push(delta.value)).on("textDone", (whole) => (done = whole.value));
    assert.equal((await stream.finalRun()).status, "completed");
    assert.ok(deltas.length > 5);
    assert.deepEqual([deltas.join(""), done], [text, text]);
    assert.equal((await stream.finalMessages())[0].content[0].text.value, text);
  },
  async create_and_run_stream() {
    const stream = threads.createAndRunStream({
      assistant_id,
      thread: { messages: [{ role: "user", content: "hello" }] },
    });
    const events = [];
    for await (const event of stream) events.push(event.event);
    assert.deepEqual(events.slice(0, 2), ["thread.created", "thread.run.created"]);
    assert.equal(events.at(-1), "thread.run.completed");
  },
  async two_rounds_of_tools() {
    const first = await streamed({ say: "asking", ...call("a", "b") }, call("b"), { say: "{{all_outputs}}" });
    const calls = [];
    first.on("toolCallDone", (one) => calls.push(one));
    let run = await first.finalRun();
    assert.equal(run.status, "requires_action");
    assert.deepEqual(
      calls.map((one) => [one.id, one.function.name, one.function.arguments]),
      run.required_action.submit_tool_outputs.tool_calls.map((one) => [
        one.id,
        one.function.name,
        JSON.stringify(long),
      ]),
    );
    const submit = (outputs) =>
      threads.runs.submitToolOutputsStream(run.id, { thread_id: run.thread_id, tool_outputs: outputs }).finalRun();
    run = await submit(answers(run, "1", "2"));
    assert.equal(run.status, "requires_action");
    run = await submit(answers(run, "3"));
    assert.equal(run.status, "completed");
    const newest = (await threads.messages.list(run.thread_id, { limit: 1 })).data[0];
    assert.equal(newest.content[0].text.value, '["1","2","3"]');
  },
  async server_calls_need_no_client() {
    const ticket = { name: "create_ticket", arguments: { title: "by node" } };
    const stream = await streamed({ tool_calls: [ticket] }, { say: "{{outputs.0}}" });
    assert.equal((await stream.finalRun()).status, "completed");
    assert.match((await stream.finalMessages())[0].content[0].text.value, /ticket_id/);
  },
  async the_ends() {
    let run = await (await streamed({ fail: { message: "no" } })).finalRun();
    assert.deepEqual([run.status, run.last_error.message], ["failed", "no"]);
    run = await (await streamed({ say: "cut", incomplete: "max_completion_tokens" })).finalRun();
    assert.equal(run.status, "incomplete");
    const body = { assistant_id, expires_in_seconds: 1 };
    run = await threads.runs.stream(await threadWith({ say: "x", delay_ms: 60000 }), body).finalRun();
    assert.equal(run.status, "expired");
  },
  async cancel_from_elsewhere() {
    const stream = await streamed({ say: "slow ".repeat(300), chunk_ms: 300 });
    let asked;
    stream.on("textDelta", () => {
      const run = stream.currentRun();
      asked ??= threads.runs.cancel(run.id, { thread_id: run.thread_id });
    });
    assert.equal((await stream.finalRun()).status, "cancelled");
    assert.equal((await asked).status, "cancelled");
  },
  async polling_helpers() {
    const run = await threads.runs.createAndPoll(await threadWith(call("a"), { say: "{{outputs.0}}" }), {
      assistant_id,
    });
    assert.equal(run.status, "requires_action");
    const body = { thread_id: run.thread_id, tool_outputs: answers(run, "polled") };
    assert.equal((await threads.runs.submitToolOutputsAndPoll(run.id, body)).status, "completed");
  },
  async errors_are_raised() {
    await assert.rejects(threads.runs.stream("thread_0", { assistant_id }).finalRun(), /No thread found/);
  },
};

const found = {};
for (const [name, scenario] of Object.entries(scenarios))
  found[name] = await scenario().then(
    () => null,
    (error) => error.stack ?? String(error),
  );
console.log(JSON.stringify({ version: VERSION, scenarios: found }));
