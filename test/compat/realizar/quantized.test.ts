/** Blocks, quantised data and pages: upstream tests. Errors are bounded by half a step from both sides. */
import { describe, expect, it } from "vitest";
import {
  bytesPerValue,
  DEFAULT_KV_QUANT_TYPE,
  KV_QUANT_BLOCK_SIZE,
  KvQuantType,
  memoryReduction,
  PageId,
  Q4KvBlock,
  Q8KvBlock,
  QuantizedKvData,
  QuantizedKvPage,
} from "../../../src/compat/realizar/index.js";
import { dataOf, floats, PAGE_BYTES, pageOf, SIDE, TOKEN, upstream, worst } from "./upstream.js";

/** Steps per largest magnitude. */
const STEPS = { Q8: 127, Q4: 7 } as const;

/** Largest error of `read` against `wrote`, in steps of each block: at most a half, and never nothing. */
function errorInSteps(type: "Q8" | "Q4", wrote: Float32Array, read: Float32Array, firstLane = 0): number {
  expect(read).toHaveLength(wrote.length);
  let largest = 0;
  for (let from = 0; from < wrote.length; ) {
    const to = from === 0 ? KV_QUANT_BLOCK_SIZE - firstLane : from + KV_QUANT_BLOCK_SIZE;
    const block = wrote.slice(from, to);
    const step = Math.max(...block.map(Math.abs)) / STEPS[type];
    largest = Math.max(largest, worst(block, read.slice(from, to)) / step);
    from = to;
  }
  return largest;
}
function expectHalfStep(type: "Q8" | "Q4", wrote: Float32Array, read: Float32Array, firstLane = 0): void {
  const steps = errorInSteps(type, wrote, read, firstLane);
  expect(steps).toBeGreaterThan(0.3);
  expect(steps).toBeLessThan(0.5 + 1e-4);
}

const block32 = (...values: number[]): Float32Array => floats(32, (i) => values[i] ?? 0);
const ramp = floats(32, (i) => Math.fround((i - 16) * Math.fround(0.1)));

describe("KvQuantType", () => {
  const types = [KvQuantType.FP32, KvQuantType.Q8, KvQuantType.Q4];
  upstream("tests_fragmentation_stats::test_kv_quant_type_bytes_per_value", () => {
    expect(types.map(bytesPerValue)).toEqual([4, 1, 0.5]);
  });
  upstream("tests_fragmentation_stats::test_kv_quant_type_memory_reduction", () => {
    expect(types.map(memoryReduction)).toEqual([1, 4, 8]);
  });
  upstream("tests_fragmentation_stats::test_kv_quant_type_default", () =>
    expect(DEFAULT_KV_QUANT_TYPE).toBe("FP32"),
  );
  upstream("tests_cov_fragmentation_should::test_cov_kv_quant_type_serialization", () => {
    expect(JSON.stringify(types)).toBe('["FP32","Q8","Q4"]');
    expect(JSON.parse(JSON.stringify(types))).toEqual(types);
  });
  it("refuses other names", () => {
    expect(() => bytesPerValue("Q5" as KvQuantType)).toThrow(RangeError);
    expect(() => new QuantizedKvData("q8" as KvQuantType, 1, 1, 1)).toThrow(RangeError);
  });
});

describe("Q8KvBlock", () => {
  upstream(
    ["tests_quantized::test_q8_block_default", "tests_fragmentation_stats::test_q8_kv_block_new"],
    () => {
      expect(new Q8KvBlock().scale).toBe(0);
      expect(new Q8KvBlock().quants).toEqual(new Int8Array(32));
      expect(new Q8KvBlock().bytes).toHaveLength(36);
    },
  );
  upstream("tests_fragmentation_stats::test_q8_kv_block_quantize_dequantize", () => {
    const block = Q8KvBlock.quantize(ramp);
    expect(block.scale).toBeCloseTo(1.6 / 127, 8);
    expect(worst(ramp, block.dequantize())).toBeCloseTo(0.0063, 5);
  });
  upstream("tests_fragmentation_stats::test_q8_kv_block_zero_values", () => {
    expect(Q8KvBlock.quantize(block32()).dequantize()).toEqual(block32());
  });
  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_q8_quantize_extreme_values",
      "paged_kv_coverage::test_q8_quantize_extreme_values",
      "tests_write::test_q8_quantize_extreme_values",
    ],
    () => {
      const block = Q8KvBlock.quantize(block32(1000, -1000, 0.0001, -0.0001));
      expect(Array.from(block.quants.subarray(0, 4))).toEqual([127, -127, 0, 0]);
      expect(worst(block.dequantize().subarray(0, 2), [1000, -1000])).toBeLessThan(1e-4);
    },
  );
  upstream("paged_kv_coverage::test_q8_quantize_tiny_values", () => {
    expect(Q8KvBlock.quantize(floats(32, () => 1e-11))).toEqual(new Q8KvBlock());
  });
});

describe("Q4KvBlock", () => {
  upstream(
    ["tests_quantized::test_q4_block_default", "tests_fragmentation_stats::test_q4_kv_block_new"],
    () => {
      expect(new Q4KvBlock().scale).toBe(0);
      expect(new Q4KvBlock().quants).toEqual(new Uint8Array(16));
      expect(new Q4KvBlock().bytes).toHaveLength(20);
    },
  );
  upstream("tests_fragmentation_stats::test_q4_kv_block_quantize_dequantize", () => {
    const block = Q4KvBlock.quantize(ramp);
    expect(block.scale).toBeCloseTo(1.6 / 7, 7);
    expect(worst(ramp, block.dequantize())).toBeCloseTo(0.1143, 4);
  });
  upstream("tests_fragmentation_stats::test_q4_kv_block_zero_values", () => {
    expect(Array.from(Q4KvBlock.quantize(block32()).dequantize())).toEqual(Array(32).fill(-0)); // −8 · 0
  });
  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_q4_quantize_extreme_values",
      "paged_kv_coverage::test_q4_quantize_extreme_values",
      "tests_write::test_q4_quantize_extreme_values",
    ],
    () => {
      const block = Q4KvBlock.quantize(block32(100, -100));
      expect(block.quants[0]).toBe(0x1f); // +7 in the low nibble, −7 in the high one, plus 8
      expect(worst(block.dequantize().subarray(0, 2), [100, -100])).toBeLessThan(1e-4);
    },
  );
  upstream("paged_kv_coverage::test_q4_quantize_tiny_values", () => {
    expect(Q4KvBlock.quantize(floats(32, () => 1e-11))).toEqual(new Q4KvBlock());
  });
  it("refuses other than 32 values; the scale can be set", () => {
    for (const type of [Q8KvBlock, Q4KvBlock]) {
      expect(() => type.quantize(new Float32Array(31))).toThrow(RangeError);
      const block = type.quantize(ramp);
      const before = block.dequantize();
      block.scale *= 2;
      expect(block.dequantize()).toEqual(before.map((v) => 2 * v));
    }
  });
});

describe("QuantizedKvData", () => {
  upstream(
    [
      "tests_quantized::test_quantized_kv_data_q8",
      "tests_quantized::test_quantized_kv_data_q4",
      "tests_fragmentation_stats::test_quantized_kv_data_fp32",
      "tests::test_cov_quantized_kv_data_memory_bytes_accuracy",
    ],
    () => {
      const types = ["FP32", "Q8", "Q4"] as const;
      expect(types.map((type) => dataOf(type).quantType())).toEqual(types);
      expect(types.map((type) => dataOf(type).memoryBytes())).toEqual([65_536, 18_432, 10_240]);
    },
  );

  upstream("tests_quantized::test_quantized_kv_data_write_read_fp32", () => {
    const data = dataOf("FP32");
    const keys = floats(64, (i) => i * 0.1);
    data.writeKeys(0, keys);
    expect(data.readKeys(0, 64)).toEqual(keys);
    expect(data.readValues(0, 64)).toEqual(new Float32Array(64));
  });

  // [type, values, first value's position, f(i), bound upstream or 0]
  const lossy: [string, "Q8" | "Q4", number, number, (i: number) => number, number][] = [
    ["tests_quantized::test_quantized_kv_data_write_read_q8", "Q8", 64, 0, (i) => (i - 32) * 0.1, 0.05],
    ["tests_write::test_q8_write_read_across_block_boundary", "Q8", 100, 0, (i) => i * 0.1, 0.05],
    ["paged_kv_coverage::test_quantized_kv_data_values_q8", "Q8", 64, 0, (i) => i * 0.01, 0.02],
    [
      "tests_deep_pkcov::test_deep_pkcov_quantized_kv_data_cross_block_write",
      "Q8",
      128,
      16,
      (i) => i * 0.01,
      0.01,
    ],
    [
      "tests_cov_fragmentation_should::test_cov_q8_write_spanning_multiple_blocks",
      "Q8",
      200,
      50,
      (i) => (i - 100) * 0.01,
      0.01,
    ],
    [
      "tests_deep_pkcov::test_deep_pkcov_quantized_kv_data_write_read_q4",
      "Q4",
      64,
      0,
      (i) => (i - 32) * 0.1,
      0.5,
    ],
    ["paged_kv_coverage::test_quantized_kv_data_q4_write_read", "Q4", 64, 0, (i) => (i - 32) * 0.1, 0.5],
    ["tests_write::test_quantized_kv_data_q4_read_write", "Q4", 64, 0, (i) => (i - 32) * 0.1, 0.5],
    ["paged_kv_coverage::test_quantized_kv_data_values_q4", "Q4", 64, 0, (i) => (i - 32) * 0.05, 0.25],
    ["tests_write::test_q4_write_read_across_block_boundary", "Q4", 100, 0, (i) => (i - 50) * 0.1, 0.5],
    [
      "tests_cov_fragmentation_should::test_cov_q4_write_spanning_multiple_blocks",
      "Q4",
      100,
      30,
      (i) => (i - 50) * 0.05,
      0.25,
    ],
  ];
  for (const [name, type, count, offset, f, bound] of lossy) {
    upstream(name, () => {
      const wrote = floats(count, f);
      for (const side of ["Keys", "Values"] as const) {
        const data = dataOf(type);
        data[`write${side}`](offset, wrote);
        const read = data[`read${side}`](offset, count);
        expect(worst(wrote, read)).toBeLessThan(bound);
        expectHalfStep(type, wrote, read, offset % KV_QUANT_BLOCK_SIZE);
        // Around what was written there is still nothing.
        if (offset > 0) expect(Math.max(...data[`read${side}`](0, offset).map(Math.abs))).toBe(0);
        expect(Math.max(...data[`read${side}`](offset + count, 500).map(Math.abs))).toBe(0);
      }
    });
  }

  upstream("tests_write::test_read_with_offset_in_middle_of_block", () => {
    const data = dataOf("FP32");
    data.writeKeys(
      0,
      floats(128, (i) => i),
    );
    expect(data.readKeys(10, 20)).toEqual(floats(20, (i) => i + 10));
    // The quantised read in the middle is the middle of the whole read.
    for (const type of ["Q8", "Q4"] as const) {
      const q = dataOf(type);
      q.writeKeys(
        0,
        floats(128, (i) => i),
      );
      expect(q.readKeys(10, 90)).toEqual(q.readKeys(0, 128).slice(10, 100));
    }
  });

  upstream("tests_write::test_write_partial_at_end_of_data", () => {
    const data = dataOf("FP32");
    data.writeKeys(
      SIDE - 5,
      floats(10, () => 99),
    );
    expect(data.readKeys(SIDE - 5, 10)).toEqual(floats(5, () => 99));
  });

  upstream(
    [
      "paged_kv_coverage::test_quantized_kv_data_write_beyond_bounds",
      "tests_cov_fragmentation_should::test_cov_quantized_kv_data_write_beyond_capacity",
    ],
    () => {
      const data = dataOf("FP32");
      data.writeKeys(
        0,
        floats(20_000, (i) => i),
      );
      expect(data.readKeys(0, 20_000)).toEqual(floats(SIDE, (i) => i));
      const small = new QuantizedKvData("FP32", 4, 2, 4);
      small.writeKeys(
        0,
        floats(100, (i) => i),
      );
      expect(small.readKeys(0, 100)).toEqual(floats(32, (i) => i));
    },
  );

  upstream(
    [
      "paged_kv_coverage::test_quantized_kv_data_read_beyond_bounds",
      "tests_cov_fragmentation_should::test_cov_quantized_kv_data_read_beyond_capacity",
    ],
    () => {
      expect(dataOf("FP32").readKeys(SIDE - 10, 100)).toHaveLength(10);
      expect(new QuantizedKvData("FP32", 4, 2, 4).readKeys(0, 1000)).toHaveLength(32);
    },
  );

  it("ten values: f32 reads ten of them, blocks read the whole block", () => {
    const lengths = (["FP32", "Q8", "Q4"] as const).map(
      (t) => new QuantizedKvData(t, 1, 1, 10).readKeys(0, 99).length,
    );
    expect(lengths).toEqual([10, 32, 32]);
  });

  it("past the end: f32 refuses where the crate panics, blocks ignore", () => {
    const fp32 = dataOf("FP32");
    expect(() => fp32.writeKeys(SIDE + 1, [1])).toThrow(RangeError);
    expect(() => fp32.readValues(SIDE + 1, 1)).toThrow(RangeError);
    fp32.writeKeys(SIDE, [1]);
    expect(fp32.readKeys(SIDE, 5)).toHaveLength(0);
    for (const type of ["Q8", "Q4"] as const) {
      const data = dataOf(type);
      data.writeKeys(SIDE + 40, [1]);
      data.writeKeys(SIDE - 1, [1, 2, 3]);
      expect(data.readKeys(SIDE + 40, 5)).toHaveLength(0);
      expect(Array.from(data.readKeys(SIDE - 1, 5))).toEqual([1]);
    }
  });

  it("writing a token rewrites its neighbour in the same block", () => {
    for (const type of ["Q8", "Q4"] as const) {
      const page = new QuantizedKvPage(new PageId(0), type, 4, 1, 16);
      page.writeKeys(
        0,
        floats(16, (i) => 0.01 * (i + 1)),
      );
      expect(page.readKeys(0)[15]).toBeCloseTo(0.16, 6);
      page.writeKeys(
        1,
        floats(16, () => 100),
      );
      expect(Array.from(page.readKeys(0), Math.abs)).toEqual(Array(16).fill(0));
    }
  });

  it("a copy is on its own", () => {
    for (const type of ["FP32", "Q8", "Q4"] as const) {
      const data = dataOf(type);
      data.writeKeys(0, [3]);
      const copy = data.clone();
      data.writeKeys(0, [5]);
      expect([copy.quantType(), copy.memoryBytes()]).toEqual([type, data.memoryBytes()]);
      expect([copy.readKeys(0, 1)[0], data.readKeys(0, 1)[0]]).toEqual([3, 5]);
    }
  });
});

describe("QuantizedKvPage", () => {
  upstream("tests_quantized::test_quantized_kv_page_new", () => {
    const page = pageOf("Q8");
    expect([page.quantType(), page.numTokens, page.refCount]).toEqual(["Q8", 0, 0]);
    expect([page.isFull(), page.isShared(), page.remainingCapacity()]).toEqual([false, false, 16]);
  });

  upstream(
    [
      "tests_quantized::test_quantized_kv_page_is_full",
      "tests_write::test_quantized_page_remaining_capacity",
    ],
    () => {
      const page = pageOf("Q8");
      const states = [0, 5, 15, 16, 20].map((tokens) => {
        page.numTokens = tokens;
        return [page.isFull(), page.remainingCapacity()];
      });
      expect(states).toEqual([
        [false, 16],
        [false, 11],
        [false, 1],
        [true, 0],
        [true, 0],
      ]);
    },
  );

  upstream(
    [
      "paged_kv_coverage::test_quantized_kv_page_shared_check",
      "tests_cov_fragmentation_should::test_cov_quantized_kv_page_shared_state",
    ],
    () => {
      const page = pageOf("Q8");
      const shared = [0, 1, 2].map((count) => {
        page.refCount = count;
        return page.isShared();
      });
      expect(shared).toEqual([false, false, true]);
    },
  );

  upstream(
    [
      "tests_quantized::test_quantized_kv_page_read_write",
      "tests_write::test_quantized_page_write_read_multiple_tokens",
    ],
    () => {
      const page = pageOf("FP32");
      const token = (t: number, sign: number) => floats(TOKEN, (i) => sign * (i + 1000 * t) * 0.1);
      for (const t of [0, 1]) {
        page.writeKeys(t, token(t, 1));
        page.writeValues(t, token(t, -1));
      }
      for (const t of [0, 1]) {
        expect(Array.from(page.readKeys(t))).toEqual(Array.from(token(t, 1)));
        expect(Array.from(page.readValues(t))).toEqual(Array.from(token(t, -1)));
      }
    },
  );

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_quantized_kv_page_write_multiple_positions",
      "paged_kv_coverage::test_quantized_kv_page_write_multiple_positions",
    ],
    () => {
      const page = pageOf("FP32");
      page.writeKeys(
        0,
        floats(TOKEN, (i) => i),
      );
      page.writeKeys(
        1,
        floats(TOKEN, (i) => -i),
      );
      expect(page.readKeys(0)).toEqual(floats(TOKEN, (i) => i));
      expect(page.readKeys(1)).toEqual(floats(TOKEN, (i) => -i));
    },
  );

  upstream("tests_cov_fragmentation_should::test_cov_quantized_page_write_at_different_positions", () => {
    const page = pageOf("Q8");
    const token = (t: number) => floats(TOKEN, (i) => (i + 1 + t * 100) * 0.001);
    for (let t = 0; t < 4; t++) page.writeKeys(t, token(t));
    // 512 values are 16 whole blocks: here a later token leaves the earlier ones alone.
    for (let t = 0; t < 4; t++) expectHalfStep("Q8", token(t), page.readKeys(t));
  });

  upstream(
    [
      "paged_kv_coverage::test_quantized_page_memory_bytes_fp32",
      "paged_kv_coverage::test_quantized_page_memory_bytes_q8",
      "paged_kv_coverage::test_quantized_page_memory_bytes_q4",
      "tests_deep_pkcov::test_deep_pkcov_quantized_kv_page_memory_bytes",
      "tests_alloc_exact::test_quantized_memory_reduction_q8",
      "tests_alloc_exact::test_quantized_memory_reduction_q4",
    ],
    () => {
      const bytes = (["FP32", "Q8", "Q4"] as const).map((type) => pageOf(type).memoryBytes());
      expect(bytes).toEqual([PAGE_BYTES, 18_432, 10_240]);
      expect(bytes.map((b) => b / PAGE_BYTES)).toEqual([1, 0.28125, 0.15625]);
    },
  );
});
