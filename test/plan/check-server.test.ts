/** The live check against real HTTP servers on loopback: one that behaves, and one for every way not to. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { checkPrompts, checkServer, type ServerCheck } from "../../src/plan/check-server.js";
import { PROMPTS } from "../../src/plan/prompts.js";
import { EXECUTE_CODE, READ_FILE, TOOLS, WEB_SEARCH } from "../../src/plan/tools.js";

interface Body {
  readonly model: string;
  readonly messages: readonly { role: string; content: string }[];
  readonly tools: readonly { function: { name: string } }[];
  readonly stream: boolean;
}
type Handler = (request: IncomingMessage, response: ServerResponse, body: Body) => void;

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

async function serve(handler: Handler): Promise<string> {
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (part) => {
      text += part;
    });
    request.on("end", () => handler(request, response, text === "" ? null : JSON.parse(text)));
  });
  servers.push(server);
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const json = (response: ServerResponse, value: unknown, status = 200): void => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
};
const call = (name: string, args: unknown, id = "call_1") => ({
  id,
  type: "function",
  function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) },
});
const message = (more: object) => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: null, ...more } }],
});
const MODELS = { object: "list", data: [{ id: "tiny", object: "model" }] };

/** What a good llama-server answers: read_file if it is the only tool, else a web search. */
const goodAnswer = (body: Pick<Body, "tools">) =>
  message({
    tool_calls: [
      body.tools.length === 1
        ? call("read_file", { path: "/etc/hostname" })
        : call("web_search", { query: "WebAssembly 1.0", max_results: 3 }),
    ],
  });
/** Behaves, but for what `chat` or `models` do instead. */
const behaving =
  (
    chat: Handler = (_, response, body) => json(response, goodAnswer(body)),
    models: Handler | null = null,
  ): Handler =>
  (request, response, body) => {
    if (request.url === "/v1/models" && request.method === "GET")
      return models ? models(request, response, body) : json(response, MODELS);
    if (request.url === "/v1/chat/completions" && request.method === "POST")
      return chat(request, response, body);
    return json(response, { error: { message: "not found" } }, 404);
  };

const FAST = { modelsTimeoutMs: 400, chatTimeoutMs: 400 };
const check = async (handler: Handler, more = {}): Promise<ServerCheck[]> =>
  (await checkServer({ url: await serve(handler), ...FAST, ...more })).checks;
const outcome = (checks: ServerCheck[]): string => checks.map((entry) => entry.status).join(" ");
/** The answer to the first completion instead of a good one → why it fails. */
const fault = async (chat: Handler): Promise<string> => {
  const checks = await check(behaving(chat));
  expect(outcome(checks)).toBe("passed failed failed");
  return checks[1]!.detail;
};
const faultOf = (value: unknown): Promise<string> => fault((_, response) => json(response, value));

describe("a server that behaves", () => {
  test("three checks pass, and say what was answered", async () => {
    const requests: Body[] = [];
    const checks = await check(
      behaving((_, response, body) => {
        requests.push(body);
        json(response, goodAnswer(body));
      }),
    );
    expect(outcome(checks)).toBe("passed passed passed");
    expect(checks.map((entry) => entry.detail)).toEqual([
      "tiny",
      'read_file({"path":"/etc/hostname"})',
      'web_search({"query":"WebAssembly 1.0","max_results":3})',
    ]);
    expect(requests.map((body) => [body.model, body.tools.map((tool) => tool.function.name)])).toEqual([
      ["tiny", ["read_file"]],
      ["tiny", ["read_file", "web_search", "execute_code"]],
    ]);
    expect(requests[0]!.messages[0]!.content).toMatch(/^Read the file at /);
    expect(requests[1]!.messages[0]!.content).toMatch(/^Search the web for /);
  });

  test("text instead of a call is an answer too", async () => {
    const checks = await check(behaving((_, response) => json(response, message({ content: "I cannot." }))));
    expect(outcome(checks)).toBe("passed passed passed");
    expect(checks[1]!.detail).toBe("text: I cannot.");
  });

  test("addresses with /v1, a slash, a prefix, the whole path; key and model are sent", async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve(
      behaving((request, response, body) => {
        seen.push(request.headers.authorization, body.model);
        json(response, goodAnswer(body));
      }),
    );
    for (const suffix of ["", "/", "/v1", "/v1/", "/v1/chat/completions"]) {
      const { checks } = await checkServer({ url: url + suffix, ...FAST, apiKey: "k", model: "other" });
      expect(outcome(checks)).toBe("passed passed passed");
    }
    expect(new Set(seen)).toEqual(new Set(["Bearer k", "other"]));
  });

  test("an answer that comes in small pieces", async () => {
    const checks = await check(
      behaving((_, response, body) => {
        const bytes = Buffer.from(JSON.stringify(goodAnswer(body)).replace("tiny", "ü"));
        response.writeHead(200, { "content-type": "application/json" });
        for (let at = 0; at < bytes.length; at += 7) response.write(bytes.subarray(at, at + 7));
        response.end();
      }),
    );
    expect(outcome(checks)).toBe("passed passed passed");
  });
});

describe("a server that streams", () => {
  const events = (...values: unknown[]): string =>
    values.map((value) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`).join("");
  const delta = (value: object, finish: string | null = null) => ({
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta: value, finish_reason: finish }],
  });
  const part = (fields: object) => delta({ tool_calls: [{ index: 0, ...fields }] });
  const stream =
    (text: string): Handler =>
    (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
      for (let at = 0; at < text.length; at += 11) response.write(text.slice(at, at + 11));
      response.end();
    };
  const calls = [
    delta({ role: "assistant", content: null }),
    part({ id: "c1", type: "function", function: { name: "read_file", arguments: "" } }),
    part({ function: { arguments: '{"pa' } }),
    part({ function: { arguments: 'th":"/etc/hostname"}' } }),
    delta({}, "tool_calls"),
    { object: "chat.completion.chunk", choices: [], usage: { total_tokens: 9 } },
  ];

  test("calls and text are put together from their pieces", async () => {
    const checks = await check(behaving(stream(events(...calls, "[DONE]"))), { stream: true });
    expect(outcome(checks)).toBe("passed passed passed");
    expect(checks[1]!.detail).toBe('read_file({"path":"/etc/hostname"})');
    const text = events(delta({ content: "Hel" }), delta({ content: "lo" }), "[DONE]");
    expect((await check(behaving(stream(`: keep-alive\n\n${text}`)), { stream: true }))[2]!.detail).toBe(
      "text: Hello",
    );
  });

  test("streaming is asked for only when wanted", async () => {
    const wanted: boolean[] = [];
    const handler = behaving((_, response, body) => {
      wanted.push(body.stream);
      json(response, goodAnswer(body));
    });
    await check(handler);
    await check(handler, { stream: true });
    expect(wanted).toEqual([false, false, true, true]);
  });

  test.each([
    ["cut off before the end", events(...calls), 'ends without "[DONE]"'],
    ["no events", "", "no event"],
    ["an event that is no JSON", events("{oops", "[DONE]"), "not JSON: {oops"],
    ["no chunk", events({ hello: 1 }, "[DONE]"), "stream chunk: choices"],
    ["an error in the stream", events({ error: { message: "out of memory" } }, "[DONE]"), "out of memory"],
    ["arguments cut short", events(...calls.slice(0, 3), "[DONE]"), "arguments of read_file are not JSON"],
  ])("%s", async (_, text, message) => {
    expect(await fault(stream(text))).toContain(message);
  });
});

describe("a server that misbehaves", () => {
  test("the model list", async () => {
    const models = async (handler: Handler): Promise<string> => {
      const checks = await check(behaving(undefined, handler));
      expect(outcome(checks)).toBe("failed skipped skipped");
      return checks[0]!.detail;
    };
    expect(await models((_, response) => json(response, { data: [] }))).toContain("no model is loaded");
    expect(await models((_, response) => json(response, { models: [] }))).toContain("wrong shape: data");
    expect(await models((_, response) => json(response, { data: [{}] }))).toContain("data.0.id");
    expect(await models((_, response) => json(response, {}, 503))).toContain("status 503");
    expect(await models((_, response) => response.end("<html>"))).toContain("not JSON: <html>");
    expect(await models(() => {})).toBe("no answer within 0.4 s");
  });

  test("a given model is asked although the list fails", async () => {
    const checks = await check(
      behaving(undefined, (_, response) => json(response, {}, 404)),
      { model: "tiny" },
    );
    expect(outcome(checks)).toBe("failed passed passed");
  });

  test("bad JSON, nothing, an error with its message", async () => {
    expect(await fault((_, response) => response.end('{"choices": ['))).toContain("not JSON");
    expect(await fault((_, response) => response.end(""))).toContain("(empty)");
    const error = { error: { code: 500, message: "slot unavailable", type: "server_error" } };
    expect(await fault((_, response) => json(response, error, 500))).toBe("status 500: slot unavailable");
    const plain: Handler = (_, response) => response.writeHead(500).end("Internal\nServer Error");
    expect(await fault(plain)).toBe("status 500: Internal Server Error");
    expect(await fault((_, response) => json(response, goodAnswer({ tools: [READ_FILE] }), 201))).toContain(
      "status 201",
    );
  });

  test("wrong shapes", async () => {
    expect(await faultOf({})).toContain("wrong shape: choices");
    expect(await faultOf({ choices: [] })).toContain("no choice");
    expect(await faultOf({ choices: [{ text: "old completions" }] })).toContain("choices.0.message");
    expect(await faultOf(message({ role: "user" }))).toContain("message.role");
    expect(await faultOf(message({ tool_calls: [{ name: "read_file" }] }))).toContain("tool_calls.0");
    const object = { ...call("read_file", {}), function: { name: "read_file", arguments: { path: "x" } } };
    expect(await faultOf(message({ tool_calls: [object] }))).toContain("arguments");
    expect(await faultOf(message({ tool_calls: [call("read file", {})] }))).toContain("function.name");
    expect(await faultOf([1, 2])).toContain("wrong shape");
    expect(await faultOf(null)).toContain("wrong shape");
  });

  test("calls that no tool can take", async () => {
    const calls = (name: string, args: unknown) => faultOf(message({ tool_calls: [call(name, args)] }));
    const checks = await check(
      behaving((_, response) => json(response, message({ tool_calls: [call("read_file", {})] }))),
    );
    expect(checks[1]!.detail).toContain("arguments of read_file: path");
    expect(await calls("read_file", { path: 5 })).toContain("path");
    expect(await calls("read_file", "{path:")).toContain("not JSON");
    expect(await calls("delete_file", { path: "x" })).toContain("calls delete_file, which was not offered");
  });

  test("neither a call of read_file nor text: the first completion fails, the second only needs a choice", async () => {
    const checks = await check(behaving((_, response) => json(response, message({ content: "  " }))));
    expect(outcome(checks)).toBe("passed failed passed");
    expect(checks[1]!.detail).toBe("neither a call of read_file nor text");
  });

  test("hanging: before the answer, and in the middle of it", async () => {
    expect(await fault(() => {})).toBe("no answer within 0.4 s");
    const start = performance.now();
    expect(await fault((_, response) => void response.write('{"choices":'))).toBe(
      "no complete answer within 0.4 s",
    );
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  test("dropped: at once, and in the middle of the answer", async () => {
    expect(await fault((request) => request.socket.destroy())).toMatch(/^no answer \(/);
    const middle: Handler = (request, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
      response.write('{"choices":', () => request.socket.destroy());
    };
    expect(await fault(middle)).toMatch(/dropped in the middle/);
  });

  test("an answer without end is cut off", async () => {
    const endless: Handler = (_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const block = "x".repeat(1 << 20);
      const more = (): void => {
        if (!response.destroyed) response.write(block, more);
      };
      more();
    };
    const { checks } = await checkServer({ url: await serve(behaving(endless)), chatTimeoutMs: 20_000 });
    expect(checks[1]!.detail).toBe("the answer is longer than 8 MiB");
  });

  test("nobody there; no address", async () => {
    const url = await serve(behaving());
    const server = servers.pop()!;
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    const { checks, model } = await checkServer({ url, ...FAST });
    expect(outcome(checks)).toBe("failed skipped skipped");
    expect(checks[0]!.detail).toContain("connection refused");
    expect(model).toBeNull();
    await expect(checkServer({ url: "nonsense" })).rejects.toThrow(/"url" expected an http/);
    await expect(checkServer({ url: "ftp://x" })).rejects.toThrow(RangeError);
  });
});

describe("tool schemas", () => {
  test("survive JSON; names, types, required fields and defaults", () => {
    expect(JSON.parse(JSON.stringify(TOOLS))).toEqual(TOOLS);
    for (const { type, function: f } of TOOLS) {
      expect(type).toBe("function");
      expect(f.name).toMatch(/^[a-zA-Z_][a-zA-Z0-9_]*$/);
      expect(f.description).not.toBe("");
      expect(f.parameters.type).toBe("object");
    }
    expect(READ_FILE.function.parameters).toMatchObject({
      properties: { path: { type: "string" }, offset: { default: 1 }, limit: { default: 500 } },
      required: ["path"],
    });
    expect(EXECUTE_CODE.function.parameters.required).toEqual(["code"]);
    expect(WEB_SEARCH.function.parameters).toMatchObject({
      properties: { query: { type: "string" }, max_results: { default: 5 } },
      required: ["query"],
    });
  });
  test("a call round-trips", () => {
    const original = call("read_file", { path: "notes.txt", offset: 2 });
    const back = JSON.parse(JSON.stringify(original));
    expect(back).toEqual(original);
    expect(JSON.parse(back.function.arguments)).toEqual({ path: "notes.txt", offset: 2 });
  });
});

describe("fixed prompts", () => {
  test("ten tasks and the tool-call format, whose expected pattern asks for JSON", () => {
    expect(PROMPTS).toHaveLength(11);
    const format = PROMPTS.find((prompt) => prompt.category === "tool_call_format")!;
    expect(format.expected.description).toContain("JSON");
    const { pattern } = format.expected;
    expect(
      pattern.test('{"name": "read_file", "arguments": {"path": "/var/log/boot.log", "limit": 20}}'),
    ).toBe(true);
    expect(pattern.test("I would read the file /var/log/boot.log, 20 lines.")).toBe(false);
    expect(
      pattern.test('{"name": "read_file", "arguments": {"path": "/var/log/boot.log", "limit": 200}}'),
    ).toBe(false);
  });

  test("sizes: about 20K and 8K tokens of filler, ten turns; no question is answered by the prompt's filler", () => {
    const characters = Object.fromEntries(PROMPTS.map((p) => [p.category, p.turns.join("").length]));
    expect(characters.long_context_summary).toBeGreaterThan(20_000 * 3);
    expect(characters.early_context_recall).toBeGreaterThan(8_000 * 3);
    expect(PROMPTS.find((p) => p.category === "ten_turn_qa")!.turns).toHaveLength(10);
    for (const { expected } of PROMPTS) expect(expected.pattern.test("I do not know.")).toBe(false);
  });

  test("sent turn by turn; the last answer is compared", async () => {
    const url = await serve(
      behaving((_, response, body) => {
        const last = body.messages.at(-1)!.content;
        const content = last.includes("my boat called")
          ? `It is Petrel (${body.messages.length}).`
          : "No idea.";
        json(response, message({ content }));
      }),
    );
    const checks = await checkPrompts({ url, model: "tiny", chatTimeoutMs: 5_000 });
    const passed = checks.filter((entry) => entry.status === "passed").map((entry) => entry.name);
    expect(passed).toEqual(["prompt: ten_turn_qa"]);
    expect(checks.find((entry) => entry.name.endsWith("code_generation"))!.detail).toContain("got: No idea.");
  });
});

/** The real thing: only where a server is named, and it says so. */
const live = process.env.TURBOQUANT_SERVER_URL;
test.runIf(live)(
  `live server: ${live ?? "skipped, TURBOQUANT_SERVER_URL names none"}`,
  { timeout: 300_000 },
  async () => {
    expect(outcome((await checkServer({ url: live! })).checks)).toBe("passed passed passed");
  },
);
