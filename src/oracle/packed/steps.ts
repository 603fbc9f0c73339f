/**
 * Codes that are a step function of the values in some way of reading them, with every table that has such steps, every
 * rule for the norm, and the rotation in many digits or in few.
 */
import type { Budget } from "../budget.js";
import { generic, readNorm } from "../pipeline/evidence.js";
import { maskAt, type Packing, relabels } from "../pipeline/layouts.js";
import { sizedTables, stepTables } from "../pipeline/step-tables.js";
import { OVERLAP, type Steps, stepsOf, unrest } from "../pipeline/steps.js";
import type { NormEvidence } from "../pipeline/table-fit.js";
import type { Table } from "../pipeline/tables.js";
import type { Transform } from "../pipeline/transforms.js";
import { unknownSigns } from "../pipeline/unknown-signs.js";
import type { Wire } from "../pipeline/wire.js";
import { type Fault, faultCount } from "../verdict.js";
import { codesAt, fitsSome, type Order, type Stage, withNorms } from "./stage.js";

/** Tables of one name that are tried: the nearest ones come first. */
const MOST = 20;
/** Codes that go with values change less than this share of what others would. */
const RELATED = 0.3;
/** Fewer flips than these may all be to one side. */
const FEW = 24;
/** What seven butterflies in halves leave at most, in units of a coordinate's deviation. */
const ROUGH = 0.03;

/** What is searched, in which ways of reading it. */
export interface Dump {
  readonly wire: Wire;
  readonly all: readonly Order[];
  readonly packings: readonly Packing[];
  readonly packed: Uint8Array;
  readonly budget: Budget;
}

export function stepCandidates(dump: Dump, transforms: readonly Transform[]): Fault[] {
  const out: Fault[] = [];
  for (const stage of relatedStages(dump, transforms)) {
    if (dump.budget.spent()) break;
    out.push(...stageFaults(dump.wire, stage, dump.packed));
  }
  return out;
}

/** The same with a Hadamard transform whose signs are found from the codes, under every packing. */
export function signedCandidates({ wire, all, packings, packed, budget }: Dump): Fault[] {
  for (const order of all)
    for (const packing of packings) {
      if (packing.mask !== 2 ** wire.bits - 1 || packing.flip || packing.swapNorm) continue;
      if (faultCount(order.id, packing.id) > 1) continue;
      if (budget.spent()) return [];
      const picked = generic(order.groups, 96);
      const c = picked.map((g) =>
        Float64Array.from(codesAt({ packing }, wire, packed, g), (k) => wire.centroids[k]!),
      );
      const x = picked.map((g) => order.groups.x[g]!.map((v) => v / order.groups.norm[g]!));
      const transform = unknownSigns(wire, { x, c });
      if (!transform) continue;
      const found = stageFaults(wire, { order, packing, transform }, packed);
      if (found.length > 0) return found;
    }
  return [];
}

/** Ways of reading of at most one fault, where codes go with values; the closest first. */
function relatedStages(dump: Dump, transforms: readonly Transform[]): Stage[] {
  const { wire, all, packings, packed, budget } = dump;
  const top = 2 ** wire.bits - 1;
  const found: { stage: Stage; unrest: number; z: Float64Array }[] = [];
  const turns = transforms.map((t) => faultCount(t.id));
  for (const order of all) {
    const few = generic(order.groups, 5);
    for (const packing of packings) {
      const before = faultCount(order.id, packing.id);
      if (packing.mask !== top || before > 1) continue;
      for (const [t, transform] of transforms.entries()) {
        if (transform.gain || before + turns[t]! > 1) continue;
        if (budget.spent()) break;
        const stage = { order, packing, transform };
        const { z, codes } = gathered(wire, stage, packed, few);
        const u = unrest(z, codes, top + 1);
        const known = (f: (typeof found)[number]): boolean =>
          f.stage.order === order && f.stage.packing === packing && alike(f.z, z);
        if (u < RELATED && !found.some(known)) found.push({ stage, unrest: u, z });
      }
    }
  }
  const faults = (s: Stage): number => faultCount(s.order.id, s.packing.id, s.transform.id);
  return found
    .sort((a, b) => a.unrest + 0.01 * faults(a.stage) - b.unrest - 0.01 * faults(b.stage))
    .slice(0, 12)
    .map((f) => f.stage);
}

/** Two transforms that are the same one. */
const alike = (a: Float64Array, b: Float64Array): boolean => a.every((v, i) => Math.abs(v - b[i]!) < 1e-9);

/** Values and codes of groups, where all bits of the codes are there. */
function gathered(
  wire: Wire,
  { order, packing, transform }: Stage,
  packed: Uint8Array,
  list: readonly number[],
): { z: Float64Array; codes: Uint8Array; length: number } {
  const z = new Float64Array(list.length * wire.group);
  const codes = new Uint8Array(z.length);
  const values = new Float64Array(wire.group);
  let at = 0;
  let squares = 0;
  for (const g of list) {
    transform.run(order.groups.x[g]!, order.groups.norm[g]!, values);
    const read = codesAt({ packing }, wire, packed, g);
    for (let i = 0; i < values.length; i++) {
      squares += values[i]! ** 2;
      if (maskAt(packing, i) !== packing.mask) continue;
      z[at] = values[i]!;
      codes[at++] = read[i]!;
    }
  }
  return {
    z: z.subarray(0, at),
    codes: codes.subarray(0, at),
    length: Math.sqrt(squares / Math.max(1, list.length)),
  };
}

/** The rotation is right but for digits: codes off to both sides, next to where they should change. */
function roughness({ up, down, widest, total }: Steps): boolean {
  const flips = up + down;
  return widest > OVERLAP && flips < 0.12 * total && (flips < FEW || (up > flips / 6 && down > flips / 6));
}

/** Groups that steps are read from: as many as tell a table, then as many as tell whether there is noise. */
const FIRST = 60;
const ALL = 240;

function stageFaults(wire: Wire, stage: Stage, packed: Uint8Array): Fault[] {
  const first = judged(wire, stage, packed, FIRST);
  return first.exact && first.found.length > 0 && !first.found.some((f) => f.explains > 0.975)
    ? [...judged(wire, stage, packed, ALL).found, ...first.found]
    : [...first.found];
}

function judged(
  wire: Wire,
  stage: Stage,
  packed: Uint8Array,
  most: number,
): { readonly found: readonly Fault[]; readonly exact: boolean } {
  const picked = generic(stage.order.groups, most);
  const nothing = { found: [], exact: false };
  const { z, codes, length } = gathered(wire, stage, packed, picked);
  if (z.length === 0) return nothing;
  const limit = (ROUGH * length) / Math.sqrt(wire.group);
  const steps = stepsOf(z, codes, 2 ** wire.bits, limit);
  if (steps.far > 0.02 * steps.total) return nothing;
  const rough = steps.widest > OVERLAP;
  if (rough && !roughness(steps)) return nothing;
  const ids = faultCount(
    stage.order.id,
    stage.packing.id,
    stage.transform.id,
    rough ? "rotation-f16" : undefined,
  );
  if (ids > 2) return nothing;
  const norms: NormEvidence = (use) => normEvidence(wire, stage, packed, picked, use);
  const found: Fault[] = [];
  const tried = new Map<string, number>();
  const few = picked.slice(0, 6);
  const near = rough ? (1.5 * steps.widest) / length : 0;
  const judge = (tables: readonly Table[]): void => {
    for (const t of tables) {
      const before = tried.get(t.id) ?? 0;
      if (before >= MOST || ids + faultCount(t.id) > 2) continue;
      tried.set(t.id, before + 1);
      // A permutation of a code's bits is no order of levels.
      if (t.id.includes("codebook-order") && permutes(wire, stage.packing)) continue;
      if (!fitsSome(wire, stage, packed, t, few, near)) continue;
      found.push(...withNorms(wire, stage, packed, t, near));
    }
  };
  judge(stepTables(wire, steps, norms));
  if (!found.some((f) => f.explains > 0.98)) judge(sizedTables(wire, steps));
  return { found, exact: !rough };
}

/** A packing that is an order of levels itself. */
const permutes = (wire: Wire, p: Packing): boolean =>
  p.id !== "" && p.flip === 0 && p.layout !== wire.layout && relabels(p, wire.layout, wire.bits);

/** (how often each code occurs, ‖x‖/stored) for groups: what the centroids are fitted from. */
function normEvidence(
  wire: Wire,
  s: Stage,
  packed: Uint8Array,
  picked: readonly number[],
  use: (counts: Float64Array, ratio: number) => void,
): void {
  for (const g of picked) {
    const stored = readNorm(
      wire,
      packed,
      g * s.packing.groupBytes + s.packing.normAt[0]!,
      s.packing.swapNorm,
    );
    const norm = s.order.groups.norm[g]!;
    if (!(stored > 1e-3) || !(stored < 6e4)) continue;
    const counts = new Float64Array(2 ** wire.bits);
    for (const c of codesAt(s, wire, packed, g)) counts[c]!++;
    use(counts, norm / stored);
  }
}
