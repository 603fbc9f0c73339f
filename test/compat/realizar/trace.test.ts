/** Recorded traces of the Rust crate, replayed: state after every operation. And that the judge can fail. */
import { readFileSync } from "node:fs";
import { decode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import { computePrefixHash, judgeRealizarTraces } from "../../../src/compat/realizar/index.js";

interface Recording {
  fnv: { hash: string; tokens: number[] }[];
  traces: { ops: Record<string, unknown>[] }[];
}
const read = (): Recording =>
  decode(readFileSync(new URL("../../../fixtures/realizar-golden.msgpack", import.meta.url))) as Recording;

describe("recorded traces", () => {
  it("800 operations of 10 traces, every observable equal", () => {
    expect(judgeRealizarTraces(read())).toEqual({ cases: 800, mismatches: 0 });
  });

  it("takes the array of traces as well", () => {
    expect(judgeRealizarTraces(read().traces).mismatches).toBe(0);
  });

  it.each(Object.keys(read().traces[0]!.ops[0]!))(
    "a change in the recorded %s of one operation is found",
    (name) => {
      const recording = read();
      const op = recording.traces[3]!.ops[40]!;
      if (name === "call") (op.call as { op: string }).op = "no such operation";
      else op[name] = "changed";
      const verdict = judgeRealizarTraces(recording);
      expect(verdict.mismatches).toBeGreaterThanOrEqual(1);
      expect(verdict.first).toContain("trace 3, operation 40");
      expect(verdict.first).toContain(name === "call" ? "result" : name);
    },
  );

  it("one wrong number deep in a table is found", () => {
    const recording = read();
    const tables = recording.traces[9]!.ops[79]!.tables as (number[][] | null)[];
    tables.find((table) => table !== null && table.length > 0)![0]![2]!++;
    expect(judgeRealizarTraces(recording)).toMatchObject({ cases: 800, mismatches: 1 });
  });

  it("refuses what is no recording", () => {
    for (const value of [undefined, null, 7, {}, { traces: 1 }, [null], [{}], [{ ops: [{}] }]])
      expect(() => judgeRealizarTraces(value)).toThrow(TypeError);
  });
});

describe("recorded prefix hashes", () => {
  it.each(read().fnv.map((f) => [f.tokens, f.hash] as const))("%j → %s", (tokens, hash) => {
    expect(computePrefixHash(tokens).toString(16).padStart(16, "0")).toBe(hash);
  });
});
