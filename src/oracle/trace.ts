/** `verify trace`: the first wrong read, where its value really came from, and which fault of a cache does that. */
import { FormatError } from "../core/format-error.js";
import { nodeModule } from "../files/node.js";
import { findFormat } from "../formats/registry.js";
import { trueRotation } from "./pipeline/transforms.js";
import { wireOf } from "./pipeline/wire.js";
import { HABITS } from "./trace/faults.js";
import {
  LIMIT,
  type Loaded,
  near,
  type Origin,
  sourceOf,
  type Trace,
  type WrongHead,
} from "./trace/loaded.js";
import { live, type Operation } from "./trace/model.js";
import { tokensDue } from "./trace/reading.js";
import { searchFaults } from "./trace/search.js";
import type { FirstDifference, Verdict } from "./verdict.js";

/** @throws FormatError for a trace that is not one, or files that are missing or of the wrong size. */
export async function verifyTrace(path: string): Promise<Verdict> {
  const loaded = await load(path);
  const { trace } = loaded;
  const due = dueReads(loaded);
  const wrong = due.map((tokens, i) => wrongHeads(loaded, tokens, i));
  const reads = due.length;
  const bad = wrong.filter((w) => w.length > 0).length;
  const heads = due.reduce((sum, tokens) => sum + 2 * tokens.length * trace.kvHeads, 0);
  const head = { format: `${trace.keyFormat} + ${trace.valueFormat}`, dim: trace.dim, vectors: heads };
  const tolerated = { normUlps: 0, boundaryFlips: 0 };
  const checks = [
    {
      id: "reads-conform",
      status: bad === 0 ? ("pass" as const) : ("fail" as const),
      value: reads - bad,
      limit: reads,
    },
  ];
  if (bad === 0) return { ...head, verdict: "conforming", first: null, tolerated, faults: [], checks };
  const at = wrong.findIndex((w) => w.length > 0);
  const first = firstOf(loaded, due[at]!, at, wrong[at]![0]!);
  const faults = searchFaults(loaded, due);
  if (faults.length === 0)
    faults.push({
      id: "unknown",
      explains: 0,
      evidence: `${bad} of ${reads} reads are wrong; no fault of the catalogue reproduces them`,
    });
  return { ...head, verdict: "faulty", first, tolerated, faults, checks };
}

/** Per read: the tokens that it should give. */
function dueReads({ trace, reads }: Loaded): Int32Array[] {
  const states = live(trace, trace.ops, { id: "", note: "" }, HABITS[0]!);
  return states.map((state, i) => tokensDue(trace, state, reads[i]!.layer!));
}

/** tokens: due; index: of the read. */
function wrongHeads(l: Loaded, tokens: Int32Array, index: number): WrongHead[] {
  const { dim, kvHeads } = l.trace;
  const given = l.given[index]!;
  const out: WrongHead[] = [];
  for (const side of ["keys", "values"] as const) {
    const count = given[side].length / (kvHeads * dim);
    for (let t = 0; t < Math.max(tokens.length, count); t++)
      for (let h = 0; h < kvHeads; h++) {
        const due = t < count && t < tokens.length ? l.store[side][tokens[t]!] : undefined;
        if (!due || !near(due, h * dim, given[side], (t * kvHeads + h) * dim, dim))
          out.push({ side, token: t, head: h });
      }
  }
  return out.sort((a, b) => a.token - b.token || a.head - b.head);
}

function firstOf(l: Loaded, tokens: Int32Array, index: number, w: WrongHead): FirstDifference {
  const { dim, kvHeads } = l.trace;
  const op = l.reads[index]!;
  const given = l.given[index]![w.side];
  const at = (w.token * kvHeads + w.head) * dim;
  const due = w.token < tokens.length ? l.store[w.side][tokens[w.token]!] : undefined;
  let coordinate = 0;
  if (due)
    while (
      coordinate < dim - 1 &&
      Math.abs(due[w.head * dim + coordinate]! - given[at + coordinate]!) <=
        LIMIT * Math.abs(due[w.head * dim + coordinate]!)
    )
      coordinate++;
  return {
    vector: w.token,
    field: `read ${index} (operation ${l.trace.ops.indexOf(op)}): sequence ${op.seq}, layer ${op.layer}, ${w.side}, token ${w.token}, head ${w.head}`,
    coordinate,
    byte: null,
    expected: due?.[w.head * dim + coordinate] ?? null,
    actual: given[at + coordinate] ?? null,
    source: sourceOf(l, given, at, w.head),
  };
}

async function load(path: string): Promise<Loaded> {
  let trace: Trace;
  try {
    trace = JSON.parse(await nodeModule("node:fs/promises", "verifyTrace").readFile(path, "utf8")) as Trace;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code) throw error;
    throw new FormatError("BAD_FILE", `${path}: not JSON (${(error as Error).message.split("\n")[0]})`);
  }
  const { dim, kvHeads, layers, pageSize, keyFormat, valueFormat, ops } = trace;
  for (const [field, value] of Object.entries({ dim, kvHeads, layers, pageSize }))
    if (!Number.isInteger(value) || value < 1)
      throw new FormatError("BAD_FILE", `${path}: "${field}" expected a positive integer, got ${value}`);
  if (!Array.isArray(ops)) throw new FormatError("BAD_FILE", `${path}: "ops" expected a list`);
  const row = kvHeads * dim;
  const file = async (name: unknown, what: string): Promise<Float32Array> => {
    if (typeof name !== "string") throw new FormatError("BAD_FILE", `${path}: ${what} expected a file name`);
    const { resolve, dirname } = nodeModule("node:path", "verifyTrace");
    const bytes = await nodeModule("node:fs/promises", "verifyTrace").readFile(resolve(dirname(path), name));
    if (bytes.length % (4 * row) !== 0)
      throw new FormatError(
        "BAD_LENGTH",
        `${name} has ${bytes.length} bytes: expected a multiple of ${4 * row}`,
      );
    return new Float32Array(new Uint8Array(bytes).buffer);
  };
  const store: { keys: Float32Array[]; values: Float32Array[] } = { keys: [], values: [] };
  const origins: Origin[] = [];
  const reads: Operation[] = [];
  const given: { keys: Float32Array; values: Float32Array }[] = [];
  const lengths = new Map<string, number[]>();
  const fresh = (): number[] => new Array<number>(layers).fill(0);
  for (const [i, op] of ops.entries()) {
    const what = `operation ${i}`;
    const known = lengths.get(op.seq ?? op.from ?? "");
    if (op.op !== "create" && !known)
      throw new FormatError("BAD_FILE", `${path}: ${what} (${op.op}) names a sequence that does not exist`);
    if (op.op === "create") lengths.set(op.seq!, fresh());
    else if (op.op === "fork") lengths.set(op.to!, known!.slice());
    else if (op.op === "free") lengths.delete(op.seq!);
    else if (op.op === "truncate")
      known!.forEach((n, l) => {
        known![l] = Math.min(n, op.length!);
      });
    else if (op.op === "read") {
      reads.push(op);
      given.push({ keys: await file(op.keys, what), values: await file(op.values, what) });
    } else if (op.op === "append") {
      const keys = await file(op.keys, what);
      const values = await file(op.values, what);
      if (keys.length !== op.count! * row || values.length !== op.count! * row)
        throw new FormatError(
          "BAD_LENGTH",
          `${path}: ${what} appends ${op.count} tokens, its files hold ${keys.length / row} and ${values.length / row}`,
        );
      const k = decoded(keyFormat, keys, dim, "key");
      const v = decoded(valueFormat, values, dim, "value");
      for (let t = 0; t < op.count!; t++) {
        store.keys.push(k.slice(t * row, (t + 1) * row));
        store.values.push(v.slice(t * row, (t + 1) * row));
        origins.push({ seq: op.seq!, layer: op.layer!, position: known![op.layer!]!++ });
      }
    } else
      throw new FormatError(
        "BAD_FILE",
        `${path}: ${what} is "${op.op}", expected create, append, fork, truncate, free or read`,
      );
  }
  const rotated = { keys: turned(trace, store.keys), values: turned(trace, store.values) };
  return { trace, store, rotated, origins, reads, given };
}

function decoded(format: string, x: Float32Array, dim: number, side: "key" | "value"): Float32Array {
  const codec = findFormat(format).open({ dim, side, nonFinite: "sanitize" });
  const bytes = new Uint8Array((x.length / dim) * codec.bytesPerVector);
  codec.encode(x, bytes);
  const out = new Float32Array(x.length);
  codec.decode(bytes, out);
  return out;
}

/** Values as they lie when nobody rotates them back; with a plain format, under the llama fork's rotation. */
function turned(trace: Trace, values: readonly Float32Array[]): Float32Array[] {
  const { dim, kvHeads, valueFormat } = trace;
  const wire =
    wireOf(valueFormat, dim, 0, "value") ?? (dim % 32 === 0 ? wireOf("turbo4", dim, 0, "value") : undefined);
  if (!wire) return [];
  return values.map((v) => {
    const out = new Float32Array(v.length);
    const part = new Float64Array(wire.group);
    for (let h = 0; h < kvHeads; h++)
      for (let g = 0; g * wire.group < dim; g++) {
        part.fill(0);
        const from = h * dim + g * wire.group;
        const count = Math.min(wire.group, dim - g * wire.group);
        for (let i = 0; i < count; i++) part[i] = v[from + i]!;
        trueRotation(wire, part);
        for (let i = 0; i < count; i++) out[from + i] = part[i]!;
      }
    return out;
  });
}
