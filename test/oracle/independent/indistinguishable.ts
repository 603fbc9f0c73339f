/**
 * Pairs whose bytes are also those of other faults: whoever names these is as right. Each is made and compared, none is
 * taken on trust.
 */
import { packers } from "./packers.js";
import { type Change, packed, pick, type Spec } from "./turbo.js";

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((v, i) => v === b[i]);

const SIZES = ["codebook-sigma", "codebook-unconverged", "codebook-uniform", "codebook-mismatch"];

/** Further ids, joined by +, for what these changes made of x. */
export function alsoDue(s: Spec, x: Float32Array, changes: readonly Change[]): string[] {
  if (changes.length > 2) return [];
  const bytes = packed(s, x, changes);
  return [
    ...anotherSize(s, x, changes, bytes),
    ...lostPlane(s, x, changes, bytes),
    ...(changes.length === 2 ? absorbed(s, changes) : []),
  ].map((ids) => [...new Set(ids)].sort().join("+"));
}

/**
 * Where no more than one positive boundary shows and no norm depends on the levels, or none shows and norms depend on one
 * level, every symmetric table is the format's at some size.
 */
function anotherSize(s: Spec, x: Float32Array, changes: readonly Change[], bytes: Uint8Array): string[][] {
  const table = changes.find((c) => c.table && SIZES.includes(c.id));
  if (!table) return [];
  const own = table.table!(s);
  const middle = s.bounds.findIndex((b) => b > 0);
  const factors = [own.bounds[middle]! / s.bounds[middle]!, own.table[middle]! / s.table[middle]!];
  const others = changes.filter((c) => c !== table);
  const sized = (factor: number): Change => ({
    ...table,
    table: (t) => ({ table: t.table.map((c) => c * factor), bounds: t.bounds.map((b) => b * factor) }),
  });
  if (!factors.some((f) => same(bytes, packed(s, x, [sized(f), ...others])))) return [];
  const ids = others.map((c) => c.id);
  return [...SIZES.map((id) => [id, ...ids]), ...(ids.includes("rotation-scale") ? [ids] : [])];
}

/** Codes & 3 before packing, or a plane of high bits that is not written. */
function lostPlane(s: Spec, x: Float32Array, changes: readonly Change[], bytes: Uint8Array): string[][] {
  const masked = changes.find((c) => c.id === "codebook-truncated" && c.code);
  if (!masked || !packers(s)["plane-lost"] || changes.some((c) => c.packer)) return [];
  const others = changes.filter((c) => c !== masked);
  const plane: Change = { id: "pack-plane-missing", note: "", stage: "pack", packer: "plane-lost" };
  return same(bytes, packed(s, x, [plane, ...others]))
    ? [["pack-plane-missing", ...others.map((c) => c.id)]]
    : [];
}

/**
 * Codes in other places, or complemented, of a rotation that nobody knows are those of another such rotation: of any
 * orthogonal matrix its rows exchanged; of a Hadamard matrix with any signs only where places i ↔ i xor m are.
 */
function absorbed(s: Spec, changes: readonly Change[]): string[][] {
  const free = changes.find((c) => ["rotation-unknown", "rotation-dense-vs-wht"].includes(c.id));
  const name = pick(changes, "packer");
  if (!free || !name) return [];
  const places = placesOf(s, name);
  const fixed = free.note.includes("signs") && places?.some((p, i) => (p ^ i) !== places[0]);
  return places && !fixed ? [[free.id], ...(free.accept ?? []).map((id) => [id])] : [];
}

/** Where each code of a packer is read by the right one; undefined where it is no exchange of places. */
function placesOf(s: Spec, name: string): number[] | undefined {
  const all = packers(s);
  const top = 2 ** s.bits - 1;
  const readAs = (codes: Uint8Array): Uint8Array | undefined => {
    const bytes = all[name]!.write([{ codes, scale: 15360 }]);
    const right = all.true!;
    return bytes.length === right.write([{ codes, scale: 15360 }]).length
      ? right.read(bytes, 1)[0]!.codes
      : undefined;
  };
  const none = readAs(new Uint8Array(s.group));
  if (!none?.every((c) => c === none[0]) || (none[0] !== 0 && none[0] !== top)) return undefined;
  const turned = (c: number): number => (none[0] === top ? top - c : c);
  const places: number[] = [];
  for (let i = 0; i < s.group; i++) {
    const codes = new Uint8Array(s.group);
    codes[i] = 1;
    const got = readAs(codes)!;
    places.push(got.findIndex((c) => turned(c) === 1));
  }
  for (let k = 0; k < 8; k++) {
    const codes = Uint8Array.from(
      { length: s.group },
      (_, i) => (i * (2 * k + 1) + (i >> 3) * (k + 1)) & top,
    );
    const got = readAs(codes)!;
    if (places.some((p, i) => p < 0 || turned(got[p]!) !== codes[i])) return undefined;
  }
  return places;
}
