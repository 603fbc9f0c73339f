/** The planning commands as a user runs them. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { turboquant } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "planning-"));
afterAll(() => rmSync(folder, { recursive: true }));

const json = (...args: string[]) => {
  const { status, stdout, stderr } = turboquant([...args, "--json"]);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(stdout.toString());
};
const text = (...args: string[]): string => {
  const { status, stdout } = turboquant(args);
  expect(status).toBe(0);
  return stdout.toString();
};
/** Fails with this exit code and one line that contains the words. */
function refused(status: number, words: string, ...args: string[]): void {
  const ran = turboquant(args);
  expect([args.join(" "), ran.status]).toEqual([args.join(" "), status]);
  expect(ran.stdout.toString()).toBe("");
  expect(ran.stderr.trim().split("\n")).toHaveLength(1);
  expect(ran.stderr).toContain(words);
}

describe("plan", () => {
  test("this machine equals /proc/meminfo", () => {
    const found = json("plan", "--detect-only");
    const total = Number(/^MemTotal:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))![1]);
    expect(found.totalBytes).toBe(total * 1024);
    expect(found.availableBytes).toBeGreaterThan(0);
    expect(text("plan", "--detect-only")).toContain("(systeminformation)");
  });

  test("64 GB, 14 GB model, 32K: turbo4", () => {
    const plan = json("plan", "--memory", "64", "--model-size", "14", "-c", "32K");
    expect(plan).toMatchObject({
      level: "turbo4",
      fits: true,
      env: { TURBO_LAYER_ADAPTIVE: "7" },
      serverFlags: ["-ctk", "turbo4", "-ctv", "turbo4", "-c", "32768"],
      warnings: [],
    });
    expect(plan.contexts.map((row: { context: number }) => row.context)).toEqual([32_768, 65_536, 131_072]);
    expect(plan.levels[0].nominal).toBeUndefined();
  });

  test("8 GB, 16 GB model, 128K: turbo2 and warnings; the text says OVERCOMMITTED", () => {
    const args = ["plan", "--memory", "8", "--model-size", "16", "-c", "128K"];
    expect(json(...args)).toMatchObject({ level: "turbo2", fits: false, longestContext: 0 });
    expect(text(...args)).toContain("OVERCOMMITTED");
  });

  test("M4 Max: the reason names the chip; --prefer and --nominal", () => {
    const args = ["plan", "--memory", "32", "--chip", "Apple M4 Max", "--model-size", "14"];
    expect(json(...args).reason).toMatch(/Apple M4 Max.*turbo4/);
    expect(json(...args, "--prefer", "turbo2").level).toBe("turbo2");
    expect(json(...args, "--nominal").levels[0].nominal.bitsPerValue).toBe(3.5);
    expect(text(...args, "--nominal")).toContain("nominal bits");
  });

  test("a config.json", () => {
    const path = join(folder, "config.json");
    writeFileSync(
      path,
      JSON.stringify({
        num_hidden_layers: 40,
        num_attention_heads: 40,
        num_key_value_heads: 8,
        head_dim: 128,
      }),
    );
    const plan = json("plan", "--model", path, "--model-size", "14", "--memory", "64");
    expect(plan.model).toMatchObject({ layers: 40, heads: 40, kvHeads: 8, headDim: 128 });
    expect(plan.f16Bytes).toBe(5120 * 2 ** 20);
    refused(2, "--model-size", "plan", "--model", path, "--memory", "64");
    refused(2, "leave out --kv-heads", "plan", "--model", path, "--kv-heads", "4", "--model-size", "1");
  });

  test("no colour when it is not a terminal", () => {
    const out = text("plan", "--memory", "8", "--model-size", "16");
    expect(out).not.toContain("\u001b");
  });

  test("wrong usage", () => {
    refused(2, "--model-size", "plan");
    refused(2, "gigabytes", "plan", "--model-size", "-3");
    refused(2, "tokens", "plan", "--model-size", "3", "-c", "lots");
    refused(2, "turbo4, turbo3, turbo2, q4_0", "plan", "--model-size", "3", "--prefer", "turbo9");
    refused(2, "unknown option", "plan", "--fast");
    refused(1, "ENOENT", "plan", "--model", join(folder, "none.gguf"));
    writeFileSync(join(folder, "bad.gguf"), "not a model at all");
    refused(1, "GGUF", "plan", "--model", join(folder, "bad.gguf"));
  });
});

describe("memory", () => {
  const model = ["--layers", "40", "--heads", "32", "--kv-heads", "8", "--head-dim", "128"];

  test("27B-class: 5,120 → 1,360 and 10,240 → 2,720 MiB, 73.4 % saved", () => {
    const { formats } = json("memory", ...model, "--formats", "f16,llama/turbo4", "-c", "32K,64K");
    const mib = formats.map((row: { contexts: { bytes: number }[] }) =>
      row.contexts.map(({ bytes }) => bytes / 2 ** 20),
    );
    expect(mib).toEqual([
      [5120, 10_240],
      [1360, 2720],
    ]);
    const out = text("memory", ...model);
    expect(out).toMatch(/llama\/turbo4 .* 4\.25 .* 1,360 .* 2,720 .* 73\.4 %/);
  });

  test("a log: measured against calculated; off by more than 15 % is a failure", () => {
    const log = join(folder, "server.log");
    const line = (mib: number): string =>
      `llama_kv_cache: size = ${mib}.00 MiB ( 65536 cells, 40 layers, 1/1 seqs), K (turbo4): ${mib / 2}.00 MiB, V (turbo4): ${mib / 2}.00 MiB\n`;
    writeFileSync(log, `build: 1\n${line(2720)}`);
    expect(json("memory", ...model, "--log", log).measured[0]).toMatchObject({
      mib: 2720,
      calculatedMib: 2720,
      difference: 0,
      within: true,
    });
    // mode 7 gives other bytes: 40 · 8 · 68 keys, (4 · 136 + 36 · 34) · 8 values a token
    const [mixed] = JSON.parse(
      turboquant(["memory", ...model, "--log", log, "--mode", "7", "--json"]).stdout.toString(),
    ).measured;
    expect(mixed.calculatedMib).toBe((65_536 * 8 * (40 * 68 + 4 * 136 + 36 * 34)) / 2 ** 20);
    writeFileSync(log, line(4000));
    const off = turboquant(["memory", ...model, "--log", log]);
    expect(off.status).toBe(1);
    expect(off.stdout.toString()).toContain("differs by more than 15 %");
    writeFileSync(log, "nothing\n");
    refused(1, "no llama_kv_cache size line", "memory", ...model, "--log", log);
    writeFileSync(log, line(2720).replace("40 layers", "41 layers"));
    refused(1, "does not belong to this model", "memory", ...model, "--log", log);
  });

  test("a head size that a format does not take is a line, not an end", () => {
    const { formats } = json(
      "memory",
      "--layers",
      "4",
      "--kv-heads",
      "1",
      "--head-dim",
      "80",
      "--formats",
      "turbo4,q8_0,f16",
    );
    const row = (name: string) => formats.find((entry: { name: string }) => entry.name === name);
    expect(row("turbo4").unsupported).toContain("80");
    expect(row("llama/turbo4").bitsPerValue).toBeCloseTo((4.25 * 128) / 80, 12);
    expect(row("f16").bitsPerValue).toBe(16);
  });

  test("wrong usage", () => {
    refused(2, "--layers", "memory");
    refused(2, "turbo9", "memory", ...model, "--formats", "turbo9");
    refused(2, "--log", "memory", ...model, "--mode", "7");
  });
});

describe("profile", () => {
  const model = ["--layers", "48", "--heads", "32", "--kv-heads", "8", "--head-dim", "128"];

  test("mode 7: types of every layer, changes, engine flags", () => {
    const profile = json("profile", ...model, "--mode", "7");
    expect(profile.layers).toHaveLength(48);
    expect(profile.layers[0]).toEqual({ layer: 0, k: "turbo4", v: "q8_0" });
    expect(profile.layers[2]).toEqual({ layer: 2, k: "turbo4", v: "turbo2" });
    expect(profile).toMatchObject({ env: { TURBO_LAYER_ADAPTIVE: "7" }, vllm: { dtype: null } });
    expect(text("profile", ...model, "--mode", "0")).toContain("--kv-cache-dtype turboquant_4bit_nc");
  });

  test("by sensitivity", () => {
    const path = join(folder, "kl.json");
    const layers = Array.from({ length: 48 }, (_, layer) => ({
      layer,
      options: [
        { k: "turbo4", v: "q8_0", kl: 0 },
        { k: "turbo4", v: "turbo2", kl: layer < 2 || layer > 45 ? 1 : 0.001 },
      ],
    }));
    writeFileSync(path, JSON.stringify({ layers }));
    const profile = json("profile", ...model, "--sensitivity", path, "--budget", "0.05");
    expect(profile.bytesPerToken).toBe(8 * (48 * 68 + 4 * 136 + 44 * 34));
    expect(profile.kl).toBeCloseTo(0.044, 12);
    // these are the types of mode 7, and it says so
    expect(text("profile", ...model, "--sensitivity", path, "--budget", "0.05")).toContain(
      "TURBO_LAYER_ADAPTIVE=7",
    );
    refused(2, "--budget", "profile", ...model, "--sensitivity", path);
    refused(2, "budget", "profile", ...model, "--sensitivity", path, "--budget", "x");
    refused(
      1,
      "48 layers, the model has 4",
      "profile",
      "--layers",
      "4",
      "--sensitivity",
      path,
      "--budget",
      "1",
    );
    writeFileSync(path, "{}");
    refused(1, "not a sensitivity file", "profile", ...model, "--sensitivity", path, "--budget", "1");
  });
});

describe("serve-config", () => {
  const model = ["--model-size", "14", "--memory", "64"];
  test("writes a profile that it accepts, and prints the command", () => {
    const path = join(folder, "agent.yaml");
    expect(text("serve-config", ...model, "-o", path)).toContain("TURBO_LAYER_ADAPTIVE=7 llama-server");
    expect(text("serve-config", "--validate", path)).toContain("a valid agent profile");
    writeFileSync(path, readFileSync(path, "utf8").replace("-ctk turbo4", ""));
    refused(1, "-ctk", "serve-config", "--validate", path);
    expect(json("serve-config", ...model).providers.primary.context.max_tokens).toBe(32_768);
    refused(2, "8192", "serve-config", ...model, "-c", "4K");
    refused(2, "--port", "serve-config", ...model, "--port", "99999");
  });
});

describe("dflash", () => {
  test("plan, report, log", () => {
    expect(json("dflash", "--memory", "36")).toMatchObject({ pair: { slug: "qwen35-9b" }, samples: 128 });
    expect(json("dflash", "--memory", "20").pair.slug).toBe("qwen35-4b");
    expect(text("dflash", "--memory", "36", "--report", "--machine", "M3 Max 36GB")).toMatch(
      /^# DFlash Apple Silicon Benchmark Report\n/,
    );
    const log = join(folder, "run.log");
    writeFileSync(
      log,
      "Baseline throughput: 22.35 tok/s\nDFlash throughput:  46.78 tok/s\nDecoding speedup: 2.09\n",
    );
    expect(text("dflash", "--memory", "36", "--log", log)).toContain("2.09×");
    writeFileSync(log, "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)\n");
    const failed = turboquant(["dflash", "--memory", "36", "--log", log, "--json"]);
    expect(failed.status).toBe(1);
    expect(JSON.parse(failed.stdout.toString()).result.status).toBe("failed");
    const report = join(folder, "report.md");
    expect(turboquant(["dflash", "--memory", "36", "--log", log, "--report", report]).status).toBe(1);
    expect(readFileSync(report, "utf8")).toContain("No: the run failed");
    refused(2, "qwen35-4b", "dflash", "--memory", "36", "--pair", "x");
    refused(1, "ENOENT", "dflash", "--memory", "36", "--log", join(folder, "none"));
  });
});

describe("check-server", () => {
  const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  /** Asynchronous: the server that answers lives in this process. */
  const run = (args: string[], env = {}): Promise<{ status: number | null; out: string; err: string }> =>
    new Promise((done) => {
      const child = spawn(process.execPath, [main, "check-server", ...args], {
        env: { ...process.env, ...env },
      });
      let out = "";
      let err = "";
      child.stdout.on("data", (part) => (out += part));
      child.stderr.on("data", (part) => (err += part));
      child.on("close", (status) => done({ status, out, err }));
    });

  test("without a server: skipped, and says so", async () => {
    const { status, out } = await run([], { TURBOQUANT_SERVER_URL: "" });
    expect([status, out]).toEqual([0, "skipped: no server given: --url or TURBOQUANT_SERVER_URL\n"]);
    const asJson = await run(["--json"], { TURBOQUANT_SERVER_URL: "" });
    expect(JSON.parse(asJson.out).status).toBe("skipped");
  });

  test("a good server by the environment, a bad one by --url", async () => {
    let broken = false;
    const server = createServer((request, response) => {
      response.setHeader("content-type", "application/json");
      if (broken) return void response.end("{");
      const message = { role: "assistant", content: "Hello." };
      const answer = request.url === "/v1/models" ? { data: [{ id: "m" }] } : { choices: [{ message }] };
      response.end(JSON.stringify(answer));
    });
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const good = await run([], { TURBOQUANT_SERVER_URL: url });
      expect([good.status, good.out.match(/^passed/gm)?.length]).toEqual([0, 3]);
      broken = true;
      const bad = await run(["--url", url, "--json"]);
      expect([bad.status, JSON.parse(bad.out).checks[0].detail]).toEqual([1, "the answer is not JSON: {"]);
    } finally {
      server.close();
    }
  });

  test("wrong usage", () => {
    refused(2, "http", "check-server", "--url", "nonsense");
    refused(2, "seconds", "check-server", "--timeout", "soon");
  });
});

test("every planning command has help with an example", () => {
  for (const command of ["plan", "profile", "memory", "serve-config", "check-server", "dflash"])
    expect(text(command, "--help")).toContain(`turboquant ${command}`);
});
