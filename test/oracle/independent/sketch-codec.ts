/**
 * Faults of norm and codes in formats with a sketch: the encoder sketches the residual of what it wrote itself, and the
 * decoder adds the sketch to what it read.
 */
import { sharedSketch } from "../../../src/core/qjl.js";
import { denseMatrices } from "../../../src/formats/llama-dense.js";
import { verify } from "../../../src/oracle/verify.js";
import { changesOf } from "./changes.js";
import { halfBits, halfValue, normOf, product } from "./numbers.js";
import type { Outcome } from "./sweep.js";
import { type Change, ownSpec, pick, records, rotateTrue, type Spec, specOf, unrotateAll } from "./turbo.js";

interface Sketched {
  readonly spec: Spec;
  readonly matrix: Float32Array;
  readonly factor: number;
  readonly unit: boolean;
  /** Dense rotations in place of the spec's. */
  readonly dense?: { readonly turn: Float32Array; readonly back: Float32Array };
}

function sketchedOf(format: string, dim: number): Sketched {
  const bits = Number(/\d/.exec(format)![0]);
  if (!format.startsWith("llama")) {
    const { matrix, factor } = sharedSketch("orthogonal", dim, 0);
    return { spec: { ...ownSpec(`turbo${bits}`, bits, dim), stored: "raw" }, matrix, factor, unit: false };
  }
  const { rotation, unrotation, sketch } = denseMatrices();
  const spec = {
    ...specOf(`llama/turbo${bits - 1}`, dim),
    stored: "raw" as const,
    plain: true,
    signs: false,
  };
  return {
    spec,
    matrix: sketch,
    factor: Math.sqrt(Math.PI / 2) / 128,
    unit: true,
    dense: { turn: rotation, back: unrotation },
  };
}

/** Of a dense rotation, these mean something. */
const DENSE_TOO = ["rotation-missing", "rotation-scale"];

function made(s: Sketched, x: Float32Array, changes: readonly Change[]) {
  const { spec, dense, unit } = s;
  const own: Change[] = [...changes];
  if (!pick(changes, "turn"))
    own.push({
      id: "",
      note: "",
      stage: "rotation",
      turn: dense ? (_, u) => u.set(product(dense.turn, u)) : (t, u) => rotateTrue(t, u),
    });
  if (!pick(changes, "scale"))
    own.push({
      id: "",
      note: "",
      stage: "norm",
      scale: (_, p) => (unit ? p.norm : (p.norm * (p.inner / (normOf(p.z) || 1))) / p.chosen ** 2),
    });
  const list = records(spec, x, own);
  const codeBytes = (spec.group * spec.bits) / 8;
  const bytes = 4 + codeBytes + spec.group / 8;
  const packed = new Uint8Array(list.length * bytes);
  const decoded = new Float32Array(x.length);
  const view = new DataView(packed.buffer);
  const back = (v: Float32Array): Float32Array => (dense ? product(dense.back, v) : unrotateAll(spec, v));
  const table = pick(changes, "table")?.(spec).table ?? spec.table;
  const readScale = pick(changes, "readScale");
  list.forEach((r, g) => {
    const at = g * bytes;
    const values = x.subarray(g * spec.group, (g + 1) * spec.group);
    const size = normOf(values) || 1;
    const scale = halfValue(r.scale);
    const mean = back(Float32Array.from(r.codes, (c) => table[c]! * (unit ? 1 : scale)));
    const residual = values.map((v, i) => (unit ? v / size : v) - mean[i]!);
    const norm = halfBits(normOf(residual));
    view.setUint16(at, r.scale, true);
    view.setUint16(at + 2, norm, true);
    r.codes.forEach((c, i) => {
      for (let b = 0; b < spec.bits; b++)
        if ((c >> b) & 1) packed[at + 4 + ((i * spec.bits + b) >> 3)]! |= 1 << ((i * spec.bits + b) & 7);
    });
    const signs = product(s.matrix, residual).map((p) => (p < 0 ? -1 : 1));
    signs.forEach((v, j) => {
      if (v > 0) packed[at + 4 + codeBytes + (j >> 3)]! |= 1 << (j & 7);
    });
    const read = readScale ? readScale(spec, scale) : scale;
    const given = unit || !readScale ? mean : back(Float32Array.from(r.codes, (c) => table[c]! * read));
    const part = product(s.matrix, signs, true);
    for (let i = 0; i < spec.group; i++)
      decoded[g * spec.group + i] = (unit ? read : 1) * (given[i]! + s.factor * halfValue(norm) * part[i]!);
  });
  return { packed, decoded };
}

export function sketchCodecSweep(
  format: string,
  dim: number,
  data: string,
  x: Float32Array,
  { every = 1 }: { every?: number } = {},
): { conforming: string[]; outcomes: Outcome[] } {
  const s = sketchedOf(format, dim);
  const right = made(s, x, []);
  const judge = (evidence: "packed" | "decoded", m: ReturnType<typeof made>) =>
    verify({ format, dim, input: x, [evidence]: m[evidence] });
  const kept = (c: Change): boolean =>
    !c.packer &&
    !c.bytes &&
    !c.input &&
    !c.after &&
    !c.readTable &&
    !(c.turn && s.dense && !DENSE_TOO.includes(c.id) && c.note !== "a Haar matrix") &&
    !(c.id === "rotation-scale" && s.dense) &&
    !(c.id === "norm-raw" && s.unit) &&
    !(c.id === "scale-rule" && c.note === "least squares" && !s.unit) &&
    !["zero-vector", "overflow-silent", "boundary-tie"].includes(c.id);
  const all = changesOf({ ...s.spec, stored: "corrected" }, []).filter(kept);
  const outcomes: Outcome[] = [];
  for (const change of all.filter((_, i) => i % every === 0)) {
    const m = made(s, x, [change]);
    for (const evidence of ["packed", "decoded"] as const) {
      if (change.needs && change.needs !== evidence) continue;
      if (m[evidence].every((v, i) => v === right[evidence][i])) continue;
      const start = performance.now();
      const r = judge(evidence, m);
      const got = r.verdict === "faulty" ? (r.faults[0]?.id ?? "") : r.verdict;
      outcomes.push({
        format,
        dim,
        data,
        evidence,
        due: change.id,
        note: `${change.id} (${change.note})`,
        got,
        right: [change.id, ...(change.accept ?? [])].includes(got),
        detected: r.verdict === "faulty",
        milliseconds: performance.now() - start,
        faults: r.faults,
      });
    }
  }
  return { conforming: (["packed", "decoded"] as const).map((e) => judge(e, right).verdict), outcomes };
}
