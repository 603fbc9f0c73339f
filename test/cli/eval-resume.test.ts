/** An evaluation that is killed goes on where it was, and says the same as one that was not. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "@msgpack/msgpack";
import { afterAll, expect, test } from "vitest";
import { HOUND_TEXT, NOVELS_MODEL } from "../model/novels.js";
import { COMMAND, turboquant } from "./run.js";

const dir = mkdtempSync(join(tmpdir(), "turboquant-resume-"));
afterAll(() => rmSync(dir, { recursive: true }));

const args = ["eval", "--model", NOVELS_MODEL, "--text", HOUND_TEXT, "--ctx", "32", "--chunks", "15"];
args.push("--kv", "turbo3,q8_0/turbo2+mean", "--json");

test("kill -9 in the middle, then the same command: the same JSON", async () => {
  const checkpoint = join(dir, "state");
  const chunks = () => (decode(readFileSync(checkpoint)) as { chunks: number }).chunks;
  const child = spawn(process.execPath, [COMMAND, ...args, "--checkpoint", checkpoint], { stdio: "ignore" });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_, by) => resolve(by)));
  while (child.exitCode === null && !(existsSync(checkpoint) && chunks() >= 3))
    await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGKILL");
  expect(await ended).toBe("SIGKILL");
  const done = chunks();
  expect(done).toBeGreaterThanOrEqual(3);
  expect(done).toBeLessThan(15);
  const resumed = turboquant([...args, "--checkpoint", checkpoint]);
  const whole = turboquant(args);
  expect([resumed.status, whole.status]).toEqual([0, 0]);
  expect(resumed.stdout.toString()).toBe(whole.stdout.toString());
  expect(existsSync(checkpoint)).toBe(false);
});
