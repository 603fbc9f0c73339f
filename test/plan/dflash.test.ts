import { describe, expect, test } from "vitest";
import { planDflash } from "../../src/plan/dflash.js";
import { parseDflashLog } from "../../src/plan/dflash-log.js";
import { dflashReport } from "../../src/plan/dflash-report.js";
import { GIB } from "../../src/plan/kv-bytes.js";

const plan = (gb: number, more = {}) => planDflash({ totalBytes: gb * GIB, ...more });

describe("pairs", () => {
  test("36 GB selects 9b, 20 GB selects 4b", () => {
    expect(plan(36).pair).toMatchObject({
      slug: "qwen35-9b",
      base: "Qwen/Qwen3.5-9B",
      draft: "z-lab/Qwen3.5-9B-DFlash",
      weightsGb: 19.93,
      leastGb: 28,
    });
    expect(plan(20).pair).toMatchObject({
      slug: "qwen35-4b",
      base: "Qwen/Qwen3.5-4B",
      draft: "z-lab/Qwen3.5-4B-DFlash",
      weightsGb: 9.68,
      leastGb: 16,
    });
  });
  test.each([
    [28, "qwen35-9b", true],
    [27.9, "qwen35-4b", true],
    [16, "qwen35-4b", true],
    [8, "qwen35-4b", false],
  ])("%d GB: %s, fits: %s", (gb, slug, fits) => {
    expect([plan(gb).pair.slug, plan(gb).fits]).toEqual([slug, fits]);
    expect(plan(gb).warnings.some((warning) => warning.includes("wants"))).toBe(!fits);
  });
  test("a slug forces a pair, an unknown one is an error", () => {
    expect(plan(8, { slug: "qwen35-9b" })).toMatchObject({ pair: { slug: "qwen35-9b" }, fits: false });
    expect(() => plan(64, { slug: "qwen35-1b" })).toThrow(/expected one of qwen35-4b, qwen35-9b/);
  });
  test("what is known is said: 4b directional, 9b experimental", () => {
    expect(plan(20).pair.known).toContain("22.35 → 46.78 tok/s (2.09×)");
    expect(plan(36).warnings.join()).toMatch(/experimental.*kIOGPUCommandBufferCallbackErrorTimeout/);
  });
});

describe("commands", () => {
  test("the benchmark, word for word", () => {
    expect(plan(36).benchmark).toBe(
      "python -m dflash.benchmark --backend mlx --model Qwen/Qwen3.5-9B --draft-model z-lab/Qwen3.5-9B-DFlash --dataset gsm8k --max-samples 128 --enable-thinking --draft-sliding-window-size 4096",
    );
    const other = plan(20, { samples: 64, dataset: "math500", thinking: false }).benchmark;
    expect(other).toContain("--max-samples 64");
    expect(other).toContain("--dataset math500");
    expect(other).not.toContain("--enable-thinking");
    expect(other).toContain("--draft-sliding-window-size 4096");
  });
  test("setup: environment, clone, install", () => {
    const setup = plan(36).setup.join("\n");
    expect(setup).toMatch(/-m venv/);
    expect(setup).toMatch(/git clone \S*z-lab\/dflash/);
    expect(setup).toMatch(/pip install -e '\.\[mlx\]'/);
  });
  test("bad requests", () => {
    expect(() => plan(36, { samples: 0 })).toThrow(RangeError);
    expect(() => plan(36, { dataset: "x; rm -rf /" })).toThrow(RangeError);
    expect(() => plan(Number.NaN)).toThrow(RangeError);
  });
});

// What z-lab/dflash's benchmark prints, with its progress bar and log lines.
const LOG = `2026-11-20 10:00:00.000 | INFO     | dflash.benchmark:_run_mlx:1 - Loading target: Qwen/Qwen3.5-4B
\r  0%|          | 0/128 [00:00<?, ?it/s]\r 50%|█████     | 64/128 [10:00<10:00,  9.4s/it]\r100%|██████████| 128/128 [20:00<00:00,  9.4s/it]
Baseline throughput: 22.35 tok/s
DFlash throughput:  46.78 tok/s
\u001b[1mDecoding speedup: \u001b[0m\u001b[1;36m2.09\u001b[0m
Average Acceptance length: 4.12
Acceptance length histogram: ['0.0%', '21.5%', '18.0%', '60.5%']
`;

describe("logs", () => {
  test("a complete run", () => {
    expect(parseDflashLog(LOG)).toEqual({
      status: "complete",
      reason: null,
      baseline: 22.35,
      dflash: 46.78,
      speedup: 2.09,
      acceptanceLength: 4.12,
      histogram: [0, 0.215, 0.18, 0.605],
      samples: { done: 128, total: 128 },
    });
  });

  test("a Metal GPU timeout is a failure, whatever came before", () => {
    const timeout =
      "\r  9%|▉         | 11/128 [02:00<20:00,  9.4s/it]\nlibc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command buffer execution failed: Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)\nFatal Python error: Aborted\n";
    const result = parseDflashLog(timeout);
    expect(result).toMatchObject({
      status: "failed",
      reason: "Metal GPU timeout (kIOGPUCommandBufferCallbackErrorTimeout)",
      baseline: null,
      samples: { done: 11, total: 128 },
    });
    expect(parseDflashLog(LOG + timeout).status).toBe("failed"); // a second run after a good one
    expect(parseDflashLog(timeout + LOG).status).toBe("complete"); // a good one after it
  });

  test("other failures", () => {
    const traceback =
      "Traceback (most recent call last):\n  File \"x.py\", line 1\nModuleNotFoundError: No module named 'mlx'\n";
    expect(parseDflashLog(traceback)).toMatchObject({
      status: "failed",
      reason: "a Python exception: ModuleNotFoundError: No module named 'mlx'",
    });
    const memory =
      "[METAL] Command buffer execution failed: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)";
    expect(parseDflashLog(memory).reason).toContain("out of memory");
  });

  test("speed-up from the throughputs when its line is missing; an empty log is incomplete", () => {
    const text = "Baseline throughput: 20.00 tok/s\nDFlash throughput: 50.00 tok/s\n";
    expect(parseDflashLog(text)).toMatchObject({ status: "complete", speedup: 2.5, histogram: null });
    for (const nothing of ["", "hello\n", "Baseline throughput: 20.00 tok/s\n"])
      expect(parseDflashLog(nothing)).toMatchObject({ status: "incomplete", dflash: null });
  });
});

describe("report", () => {
  test("the template for M3 Max 36GB", () => {
    const report = dflashReport(plan(36), "M3 Max 36GB");
    expect(report.startsWith("# DFlash Apple Silicon Benchmark Report\n")).toBe(true);
    for (const section of ["Machine", "Setup", "Baseline comparison", "Results", "Verdict", "Recommendation"])
      expect(report).toContain(`\n## ${section}\n`);
    expect(report).toContain("M3 Max 36GB");
    expect(report).toContain("Qwen/Qwen3.5-9B");
    expect(report).toContain("plain MLX or llama.cpp speculative decoding");
    expect(report).toContain("on the same prompts");
    expect(report).toContain("Worth operationalizing locally?");
  });

  test("filled from a log", () => {
    const report = dflashReport(plan(20), "M3 Max 36GB", parseDflashLog(LOG));
    expect(report).toContain("| plain MLX | 22.35 | gsm8k | |");
    expect(report).toContain("| DFlash | 46.78 | gsm8k | |");
    expect(report).toContain("Measured 2.09× over the baseline.");
    expect(report).toContain("3: 60.5 %");
    const few = dflashReport(plan(20), "m", parseDflashLog(LOG.replaceAll("128/128", "1/1")));
    expect(few).toContain("directional only");
  });

  test("a failed run says no", () => {
    const failed = parseDflashLog("kIOGPUCommandBufferCallbackErrorTimeout");
    const report = dflashReport(plan(36), "M3 Max 36GB", failed);
    expect(report).toMatch(/No: the run failed \(Metal GPU timeout/);
    expect(report).toContain("Use the smaller pair");
  });
});
