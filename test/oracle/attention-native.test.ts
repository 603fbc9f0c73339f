/** The fork's real attention conforms, whichever way its CPU code holds queries and sums. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { verifyAttention } from "../../src/oracle/attention.js";
import { parseRecorded } from "../../src/oracle/recorded/parse.js";

interface Recorded {
  readonly inputs: Record<string, Record<string, number | Uint8Array>>;
  readonly cases: readonly (Record<"name" | "inputs" | "k_type" | "v_type", string> & {
    output: Uint8Array;
  })[];
}

const file = parseRecorded(
  readFileSync(new URL("../../fixtures/native/attention.msgpack", import.meta.url)),
) as Recorded;
const floats = (bytes: unknown): Float32Array =>
  new Float32Array(Uint8Array.from(bytes as Uint8Array).buffer);
const nameOf = (type: string): string => (type.startsWith("turbo") ? `llama/${type}` : `ggml/${type}`);

it.each(file.cases)("$name", (recorded) => {
  const { head_dim, n_head, n_head_kv, q, k, v } = file.inputs[recorded.inputs]!;
  const options = {
    keyFormat: nameOf(recorded.k_type),
    valueFormat: nameOf(recorded.v_type),
    dim: head_dim as number,
    heads: n_head as number,
    kvHeads: n_head_kv as number,
    query: floats(q),
    key: floats(k),
    value: floats(v),
    output: floats(recorded.output),
  };
  expect(verifyAttention({ ...options, causal: true }).verdict).toBe("conforming");
  if (recorded.v_type !== "turbo3") return;
  const unmasked = verifyAttention({ ...options, causal: false });
  expect([unmasked.verdict, unmasked.faults[0]?.id]).toEqual(["faulty", "causal-missing"]);
});
