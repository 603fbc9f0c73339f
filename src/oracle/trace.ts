/** `verify trace`: the first wrong read, where its value really came from, and which fault of a cache does that. */
import { FormatError } from "../core/format-error.js";
import { nodeModule } from "../files/node.js";
import { findFormat } from "../formats/registry.js";
import { evidenceFaults } from "./trace-evidence.js";
import { cacheFaults } from "./trace-faults.js";
import {
  asLong,
  LIMIT,
  Likeness,
  type Loaded,
  near,
  type Origin,
  sourceOf,
  type Trace,
  type WrongHead,
} from "./trace-loaded.js";
import { type CacheFault, type ReadResult, replay, type Source } from "./trace-model.js";
import { trueRotation } from "./transforms.js";
import { type Fault, type FirstDifference, pairId, ranked, type Verdict } from "./verdict.js";
import { wireOf } from "./wire.js";

/** @throws FormatError for a trace that is not one, or files that are missing or of the wrong size. */
export async function verifyTrace(path: string): Promise<Verdict> {
  const loaded = await load(path);
  const { trace } = loaded;
  const due = replay(trace, trace.ops, { id: "", note: "" });
  const likeness = new Likeness();
  const wrong = due.map((r, i) => wrongHeads(loaded, r, i, likeness));
  const reads = due.length;
  const bad = wrong.filter((w) => w.length > 0).length;
  const heads = due.reduce((sum, r) => sum + 2 * r.keys.length * trace.kvHeads, 0);
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
  const faults = name(loaded, due, wrong, likeness);
  if (faults.length === 0)
    faults.push({
      id: "unknown",
      explains: 0,
      evidence: `${bad} of ${reads} reads are wrong; no fault of the catalogue reproduces them`,
    });
  return { ...head, verdict: "faulty", first, tolerated, faults, checks };
}

/** The vector (kvHeads·dim) that a read gives for a token number. */
function vectorOf(l: Loaded, token: number, from: Source): Float32Array | undefined {
  if (from === "zero" || token === -1) return new Float32Array(l.trace.kvHeads * l.trace.dim);
  if (token < 0) return undefined;
  if (from === "rotated") return l.rotated[token];
  return l.store[from === "turned" ? "values" : from][token];
}

const SOURCES: readonly Source[] = ["keys", "values", "zero", "rotated", "turned"];

/** index: of the read. */
function wrongHeads(l: Loaded, r: ReadResult, index: number, likeness: Likeness): WrongHead[] {
  const { dim, kvHeads } = l.trace;
  const given = l.given[index]!;
  const out: WrongHead[] = [];
  for (const side of ["keys", "values"] as const) {
    const tokens = r[side];
    const from = r.from[side];
    const source = SOURCES.indexOf(from);
    const alike = from === "turned" ? asLong : near;
    const count = given[side].length / (kvHeads * dim);
    for (let t = 0; t < Math.max(tokens.length, count); t++) {
      const right =
        t < count &&
        t < tokens.length &&
        likeness.of(`${index} ${side} ${t}`, SOURCES.length * (tokens[t]! + 2) + source, () => {
          const due = vectorOf(l, tokens[t]!, from);
          if (!due) return false;
          for (let h = 0; h < kvHeads; h++)
            if (!alike(due, h * dim, given[side], (t * kvHeads + h) * dim, dim)) return false;
          return true;
        });
      if (right) continue;
      const due = t < tokens.length ? vectorOf(l, tokens[t]!, from) : undefined;
      for (let h = 0; h < kvHeads; h++)
        if (t >= count || !due || !alike(due, h * dim, given[side], (t * kvHeads + h) * dim, dim))
          out.push({ side, token: t, head: h });
    }
  }
  return out.sort((a, b) => a.token - b.token || a.head - b.head);
}

function firstOf(l: Loaded, r: ReadResult, index: number, w: WrongHead): FirstDifference {
  const { dim, kvHeads } = l.trace;
  const op = l.trace.ops[r.op]!;
  const given = l.given[index]![w.side];
  const at = (w.token * kvHeads + w.head) * dim;
  const due = w.token < r[w.side].length ? vectorOf(l, r[w.side][w.token]!, r.from[w.side]) : undefined;
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
    field: `read ${index} (operation ${r.op}): sequence ${op.seq}, layer ${op.layer}, ${w.side}, token ${w.token}, head ${w.head}`,
    coordinate,
    byte: null,
    expected: due?.[w.head * dim + coordinate] ?? null,
    actual: given[at + coordinate] ?? null,
    source: sourceOf(l, given, at, w.head),
  };
}

/** Pairs are made of so many single faults at most. */
const PAIRED = 24;
/** So many of the best are paired with all. */
const LEADING = 4;
/** Such a pair has to explain all: with so many of them, more than one fault alone is soon found. */
const WHOLE = 0.999;

/** Hypotheses replayed; those that reproduce what was given, and what the evidence says by itself. */
function name(
  l: Loaded,
  due: readonly ReadResult[],
  wrong: readonly (readonly WrongHead[])[],
  likeness: Likeness,
): Fault[] {
  const { trace } = l;
  const total = due.reduce((sum, r) => sum + 2 * r.keys.length * trace.kvHeads, 0);
  const before = wrong.reduce((sum, w) => sum + w.length, 0);
  const out: Fault[] = [];
  const seen = new Set<string>();
  /** undefined: the same reads as an earlier one. */
  const score = (faults: readonly CacheFault[], least = 0.2): number | undefined => {
    const merged = Object.assign({}, ...faults, { id: "", note: "" }) as CacheFault;
    const reads = replay(trace, trace.ops, merged);
    const signature = reads.map((r) => `${r.from.keys}${r.from.values}${r.keys}|${r.values}`).join(";");
    if (seen.has(signature)) return undefined;
    seen.add(signature);
    let left = 0;
    for (const [i, r] of reads.entries()) {
      left += wrongHeads(l, r, i, likeness).length;
      if (left >= before) break;
    }
    const id = pairId(faults.map((f) => f.id));
    const explained = Math.max(0, (before - left) / before);
    if (explained > least)
      out.push({
        id,
        explains: explained,
        evidence: `${before - left} of ${before} wrong heads (of ${total} read) are reproduced: ${faults.map((f) => f.note).join("; ")}`,
      });
    return explained;
  };
  const singles = cacheFaults(trace).flatMap((f) => {
    const e = score([f]);
    return e === undefined ? [] : [{ f, e }];
  });
  if (!singles.some((s) => s.e > 0.995)) {
    // Pairs of what explains something alone, and of what changes every read.
    const useful = singles
      .filter((s) => s.e > 0.02 || s.f.sides || s.f.layerShift)
      .sort((a, b) => b.e - a.e)
      .map((s) => s.f);
    const whole = useful.filter((f) => f.sides);
    const likely = [...new Set([...useful.slice(0, PAIRED), ...whole])];
    for (const [i, a] of likely.entries())
      for (const b of likely.slice(i + 1)) if (a.id !== b.id && !(a.sides && b.sides)) score([a, b]);
    // What one fault leaves may be little: the best ones with every other.
    for (const a of useful.slice(0, LEADING))
      for (const { f: b } of singles) if (a.id !== b.id && !(a.sides && b.sides)) score([a, b], WHOLE);
    out.push(...evidenceFaults(l, due, wrong));
  }
  return ranked(out);
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
  const store: Loaded["store"] = { keys: [], values: [] };
  const origins: Origin[] = [];
  const given: Loaded["given"] = [];
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
    else if (op.op === "read")
      given.push({ keys: await file(op.keys, what), values: await file(op.values, what) });
    else if (op.op === "append") {
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
  return { trace, store, rotated: rotatedValues(trace, store.values), origins, given };
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
function rotatedValues(trace: Trace, values: readonly Float32Array[]): Float32Array[] {
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
