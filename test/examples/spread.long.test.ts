/**
 * examples/spread on a real Redis: two workers share a dump; one is killed while it works, and the verdict is still the one
 * that a single process gives. Needs redis-server (Debian: apt-get install redis-server), which .ci/run installs.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomStream } from "../../src/core/random.js";
import { referenceBytes } from "../../src/oracle/compare-packed.js";
import { turboquant } from "../cli/run.js";

const SPREAD = fileURLToPath(new URL("../../examples/spread/", import.meta.url));
const hasRedis = spawnSync("redis-server", ["--version"]).status === 0;
const NONE = "no redis-server: install it (apt-get install redis-server)";

const N = 400_000;
const DIM = 64;

describe.skipIf(!hasRedis)(hasRedis ? "a dump over BullMQ" : NONE, () => {
  const dir = mkdtempSync(join(tmpdir(), "spread-"));
  const started: ChildProcess[] = [];
  let redis = "";

  const start = (command: string, args: readonly string[]): ChildProcess => {
    const child = spawn(command, args, {
      cwd: dir,
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, LOCK_MS: "2000" },
    });
    started.push(child);
    return child;
  };
  const says = async (child: ChildProcess, words: RegExp): Promise<void> => {
    for await (const part of child.stdout!.iterator({ destroyOnReturn: false }))
      if (words.test(String(part))) return;
    throw new Error(`ended before it said ${words}`);
  };
  const worker = (): ChildProcess =>
    start(process.execPath, [join(SPREAD, "worker.mjs"), "--redis", redis, "--threads", "1"]);
  const submit = async (packed: string, shares: number): Promise<{ status: number; out: string }> => {
    const args = ["--redis", redis, "--format", "ggml/q4_0", "--dim", `${DIM}`, "--input", "x.f32"];
    const child = start(process.execPath, [
      ...[join(SPREAD, "submit.mjs"), ...args, "--packed", packed],
      ...["--shares", `${shares}`],
    ]);
    const parts: string[] = [];
    child.stdout!.on("data", (part) => parts.push(String(part)));
    const [status] = await once(child, "close");
    return { status, out: parts.join("") };
  };
  const alone = (packed: string): string => {
    const args = ["verify", "-f", "ggml/q4_0", "-d", `${DIM}`, "--json"];
    return turboquant([
      ...args,
      "--input",
      join(dir, "x.f32"),
      "--packed",
      join(dir, packed),
    ]).stdout.toString();
  };

  beforeAll(async () => {
    const r = randomStream(5, "spread");
    const some = Float32Array.from({ length: 1000 * DIM }, () => r.normal());
    const x = Float32Array.from({ length: N * DIM }, (_, i) => some[i % some.length]!);
    const packed = referenceBytes("ggml/q4_0", DIM, x, { side: "key", seed: 0 });
    writeFileSync(join(dir, "x.f32"), new Uint8Array(x.buffer));
    writeFileSync(join(dir, "good.bin"), packed);
    packed.fill(0, packed.length / 2, packed.length / 2 + 18);
    writeFileSync(join(dir, "bad.bin"), packed);
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const { port } = free.address() as { port: number };
    free.close();
    redis = `redis://127.0.0.1:${port}`;
    const server = start("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", ""]);
    await says(server, /Ready to accept connections/);
  });
  afterAll(async () => {
    for (const child of started.reverse())
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "close");
      }
    rmSync(dir, { recursive: true });
  });

  test("two workers: the verdict of one process", async () => {
    const [a, b] = [worker(), worker()];
    await Promise.all([says(a, /ready/), says(b, /ready/)]);
    expect(await submit("good.bin", 6)).toEqual({ status: 0, out: alone("good.bin") });
    expect(await submit("bad.bin", 5)).toEqual({ status: 1, out: alone("bad.bin") });
    a.kill("SIGTERM");
    expect(await once(a, "close")).toEqual([0, null]); // ends what it does, and ends well
    b.kill("SIGKILL");
    await once(b, "close");
  });

  test("a worker that is killed at work: another one takes its share", async () => {
    const first = worker();
    await says(first, /ready/);
    const verdict = submit("bad.bin", 3);
    await says(first, /share/);
    first.kill("SIGKILL");
    await once(first, "close");
    worker();
    expect(await verdict).toEqual({ status: 1, out: alone("bad.bin") });
  });

  test("files that no worker can read: one line, exit 1", async () => {
    const last = worker();
    await says(last, /ready/);
    expect((await submit("absent.bin", 2)).status).toBe(1);
  });
});
