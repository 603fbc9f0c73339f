/** The judge of recorded vectors on our fixtures: all pass, one flipped byte does not, and what is no file is refused. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { computePrefixHash } from "../../src/compat/realizar/prefix.js";
import { judgeRealizarTraces } from "../../src/compat/realizar/trace.js";
import { FormatError } from "../../src/core/format-error.js";
import { judgeNativeAttention } from "../../src/oracle/recorded/attention-file.js";
import { parseRecorded } from "../../src/oracle/recorded/parse.js";
import { judgeRecorded } from "../../src/oracle/recorded/recorded.js";

type Fields = Record<string, unknown>;
interface File extends Fields {
  type: string;
  cases: Fields[];
}

const folder = new URL("../../fixtures/native/", import.meta.url);
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".msgpack") && name !== "attention.msgpack")
  .sort();
const load = (name: string): File => parseRecorded(readFileSync(new URL(name, folder))) as File;
const golden = () => parseRecorded(readFileSync(new URL("../realizar-golden.msgpack", folder))) as Fields;

/** Raw bytes as base64 with the suffix: the JSON form, through JSON. */
const asJson = (file: File): unknown =>
  JSON.parse(JSON.stringify({ ...file, cases: file.cases.map(encodeBytes) }));
const encodeBytes = (fields: Fields): Fields =>
  Object.fromEntries(
    Object.entries(fields).map(([key, value]) =>
      value instanceof Uint8Array ? [`${key}_b64`, Buffer.from(value).toString("base64")] : [key, value],
    ),
  );

/** The file with byte `at` of a field of case `c` XORed. */
function flipped(file: File, c: number, field: string, at: number, mask: number): File {
  const bytes = Uint8Array.from(file.cases[c]![field] as Uint8Array);
  bytes[at]! ^= mask;
  return { ...file, cases: file.cases.map((one, i) => (i === c ? { ...one, [field]: bytes } : one)) };
}

const refusal = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
  return undefined;
};

it("has the fixtures of every native recording", () => {
  expect(names).toHaveLength(22);
});

describe.each(names)("%s", (name) => {
  const file = load(name);

  it("is reproduced, every case", () => {
    expect(judgeRecorded(file)).toMatchObject({ cases: file.cases.length, mismatches: 0 });
  });

  it("is judged the same as JSON", () => {
    expect(judgeRecorded(asJson(file))).toMatchObject({ cases: file.cases.length, mismatches: 0 });
  });

  const outputs = ["packed", "dequant", "unrotated", "output", "present_key", "present_value"]
    .concat(["key_dequant_f16", "value_dequant_f16"])
    .filter((field) => file.cases[2]![field] instanceof Uint8Array);

  it.each(outputs)("fails when one byte of %s is flipped, and says where", (field) => {
    const { length } = file.cases[2]![field] as Uint8Array;
    // A GPU's norms and attention output have tolerances: there, a code and a sign. Everything else has none.
    const gpu = name === "onnxruntime_q4.msgpack";
    const [at, mask] = !gpu ? [length >> 1, 1] : field === "output" ? [3, 0x80] : [9, 1];
    const verdict = judgeRecorded(flipped(file, 2, field, at, mask));
    expect(verdict.cases).toBe(file.cases.length);
    expect(verdict.mismatches).toBe(1);
    expect(verdict.first).toContain(`case ${file.cases[2]!.name}, `);
    expect(verdict.first).toMatch(/(byte|value|code|norm) ?\d*: expected .+, got .+/);
  });

  it("fails on the vectors of another case", () => {
    const swapped = { ...file, cases: file.cases.map((one) => ({ ...one })) };
    const field = file.type === "wht" ? "output" : outputs[0]!;
    const same = swapped.cases.findIndex(
      (one, i) =>
        i !== 2 && (one[field] as Uint8Array).length === (swapped.cases[2]![field] as Uint8Array).length,
    );
    if (same < 0) throw new Error("no case of the same size");
    swapped.cases[2]![field] = file.cases[same]![field];
    expect(judgeRecorded(swapped).mismatches).toBe(1);
  });

  it("is refused when a field is missing, of another length, not base64, or without cases", () => {
    const field = outputs[0]!;
    const { [field]: bytes, ...rest } = file.cases[0]!;
    const withFirst = (one: Fields): File => ({ ...file, cases: [one, ...file.cases.slice(1)] });
    for (const broken of [
      withFirst(rest),
      withFirst({ ...rest, [field]: (bytes as Uint8Array).slice(1) }),
      withFirst({ ...rest, [`${field}_b64`]: "not base64!" }),
      withFirst({ ...rest, [`${field}_b64`]: 7 }),
      { ...file, cases: [] },
      { ...file, cases: {} },
      { ...file, type: "turbo9" },
      { ...file, type: 3 },
    ])
      expect(refusal(() => judgeRecorded(broken))).toBe("BAD_FILE");
  });
});

it("every single flipped byte of a packed field is a mismatch", () => {
  for (const name of ["q4_0.msgpack", "turbo3.msgpack", "turbo4.msgpack"]) {
    const file = load(name);
    const short = { ...file, cases: file.cases.slice(0, 1) };
    const { length } = short.cases[0]!.packed as Uint8Array;
    for (let at = 0; at < length; at++)
      expect(judgeRecorded(flipped(short, 0, "packed", at, 0x10)).mismatches).toBe(1);
  }
});

describe("realizar's recording", () => {
  const judges = { traces: judgeRealizarTraces, prefixHash: computePrefixHash };

  it("is reproduced: blocks, hashes, traces", () => {
    const { cases, mismatches } = judgeRecorded(golden(), judges);
    expect(mismatches).toBe(0);
    expect(cases).toBeGreaterThan(800);
  });

  it("is refused without judges for what it holds, and never passes on the blocks alone", () => {
    expect(refusal(() => judgeRecorded(golden()))).toBe("BAD_FILE");
    expect(refusal(() => judgeRecorded(golden(), { prefixHash: computePrefixHash }))).toBe("BAD_FILE");
    const { quant } = golden();
    expect(judgeRecorded({ quant })).toEqual({ cases: 32, mismatches: 0 });
  });

  it("fails on one changed code, scale, value or hash", () => {
    const blocks = golden().quant as Fields[];
    const change = (field: string, value: unknown) =>
      judgeRecorded({ quant: blocks.map((b, i) => (i === 4 ? { ...b, [field]: value } : b)) });
    const codes = (blocks[4]!.q4 as number[]).slice();
    codes[15]! ^= 1;
    expect(change("q4", codes).mismatches).toBe(1);
    expect(change("q8_scale", blocks[5]!.q8_scale)).toMatchObject({ cases: 32, mismatches: 1 });
    expect(change("q8_deq", blocks[5]!.q8_deq).first).toMatch(/quant\[4\], vector 0, q8 dequantised value 0/);
    const fnv = (golden().fnv as Fields[]).map((f, i) => (i === 1 ? { ...f, hash: "0".repeat(16) } : f));
    expect(judgeRecorded({ fnv }, judges)).toMatchObject({ cases: 13, mismatches: 1 });
  });
});

describe("native attention", () => {
  const file = load("attention.msgpack");
  const judges = { attention: judgeNativeAttention };
  const change = (fields: Fields) => ({
    ...file,
    cases: file.cases.map((one, i) => (i === 3 ? { ...one, ...fields } : one)),
  });

  it("is refused without its judge, and when that judges nothing", () => {
    expect(refusal(() => judgeRecorded(file))).toBe("BAD_FILE");
    expect(refusal(() => judgeRecorded(file, { attention: () => ({ cases: 0, mismatches: 0 }) }))).toBe(
      "BAD_FILE",
    );
  });

  it("is reproduced: cache bytes, outputs, errors", () => {
    expect(judgeRecorded(file, judges)).toEqual({ cases: 22, mismatches: 0 });
    const inputs = Object.entries(file.inputs as Record<string, Fields>);
    const json = { ...file, inputs: Object.fromEntries(inputs.map(([k, v]) => [k, encodeBytes(v)])) };
    expect(judgeRecorded(asJson(json), judges)).toEqual({ cases: 22, mismatches: 0 });
  });

  it("fails on another digest, size, output or error", () => {
    const other = file.cases[2]!;
    for (const field of ["k_cache_sha256", "v_cache_sha256", "v_cache_bytes", "output", "nmse_vs_exact"]) {
      const verdict = judgeRecorded(change({ [field]: other[field] }), judges);
      expect(verdict).toMatchObject({ cases: 22, mismatches: 1 });
      expect(verdict.first).toContain(`case ${file.cases[3]!.name}, `);
    }
  });

  it("fails when 1 of 1536 output values is off by a part in 1e4 of the largest", () => {
    const output = new Float32Array(Uint8Array.from(file.cases[3]!.output as Uint8Array).buffer);
    output[700]! += 1e-4 * Math.max(...output.map(Math.abs));
    const verdict = judgeRecorded(change({ output: new Uint8Array(output.buffer) }), judges);
    expect(verdict).toMatchObject({ cases: 22, mismatches: 1 });
  });

  it("is refused for an unknown cache type or missing inputs", () => {
    for (const broken of [{ k_type: "iq4_nl" }, { inputs: "nowhere" }, { nmse_vs_exact: "0" }])
      expect(refusal(() => judgeRecorded(change(broken), judges))).toBe("BAD_FILE");
  });
});

it("what is no recorded file is refused", () => {
  for (const parsed of [null, 3, "text", [], {}, { type: "wht" }, { cases: [] }, { quant: [] }])
    expect(refusal(() => judgeRecorded(parsed))).toBe("BAD_FILE");
  for (const text of ["", "{", "\xff\xfe"])
    expect(refusal(() => judgeRecorded(parseRecorded(new TextEncoder().encode(text))))).toBe("BAD_FILE");
});
