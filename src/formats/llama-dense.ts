/**
 * The two dense 128 × 128 matrices of the fork's legacy formats, f32, made as its C code makes them.
 *
 * Normals: an LCG (Knuth's MMIX constants), u = state >> 11 over 2⁵³, two draws a normal, Box–Muller's cosine in
 * double, cast to float. R: seed 42, modified Gram–Schmidt on the columns, f32, sums in order. S: seed 1042, the
 * normals as they come.
 *
 * DEVIATION from this library's rule of no transcendental on a bit path: these are seed material of somebody else's
 * format, made once, and no format of ours uses them. `Math.log` and `Math.cos` may differ between engines in the
 * last bit of a double, which the cast to float hides except with a probability near 1e-4 for all 32,768 entries
 * together; the tests hold the digest of both matrices against the native ones.
 */
import type { Kernels } from "../kernels/kernels.js";

const { fround } = Math;
export const DENSE = 128;

const MULTIPLIER = 6364136223846793005n;
const INCREMENT = 1442695040888963407n;
/** Of R: a sketch drawn from it, too, is no sketch of its own. */
export const ROTATION_SEED = 42n;
const SKETCH_SEED = 1042n;

/** (128, 128) normals, row-major. */
export function denseNormals(seed: bigint): Float32Array {
  let state = seed;
  const uniform = (): number => {
    state = BigInt.asUintN(64, state * MULTIPLIER + INCREMENT);
    return Number(state >> 11n) / 2 ** 53;
  };
  const normal = (): number => {
    const radius = Math.sqrt(-2 * Math.log(Math.max(uniform(), 1e-15)));
    return radius * Math.cos(2 * Math.PI * uniform());
  };
  return Float32Array.from({ length: DENSE * DENSE }, normal);
}

/** Makes the columns of m orthonormal, in place. */
function gramSchmidt(m: Float32Array): void {
  for (let j = 0; j < DENSE; j++) {
    const norm = fround(Math.sqrt(columnDot(m, j, j)));
    if (norm > fround(1e-10)) for (let at = j; at < m.length; at += DENSE) m[at]! /= norm;
    for (let k = j + 1; k < DENSE; k++) {
      const shared = columnDot(m, j, k);
      for (let row = 0; row < m.length; row += DENSE) m[row + k]! -= fround(shared * m[row + j]!);
    }
  }
}

function columnDot(m: Float32Array, j: number, k: number): number {
  let sum = 0;
  for (let row = 0; row < m.length; row += DENSE) sum = fround(sum + fround(m[row + j]! * m[row + k]!));
  return sum;
}

function transposed(m: Float32Array): Float32Array {
  const t = new Float32Array(m.length);
  for (let i = 0; i < DENSE; i++) for (let j = 0; j < DENSE; j++) t[j * DENSE + i] = m[i * DENSE + j]!;
  return t;
}

/** y = M x, sums in order. m: (128, 128) row-major, x, y: (128,). */
export function denseProduct(m: Float32Array, x: Float32Array, y: Float32Array): void {
  for (let i = 0, row = 0; i < DENSE; i++, row += DENSE) {
    let sum = 0;
    for (let j = 0; j < DENSE; j++) sum = fround(sum + fround(m[row + j]! * x[j]!));
    y[i] = sum;
  }
}

export interface DenseMatrices {
  /** R, and its transpose. */
  readonly rotation: Float32Array;
  readonly unrotation: Float32Array;
  /** S, and its transpose. */
  readonly sketch: Float32Array;
  readonly unsketch: Float32Array;
}

let made: DenseMatrices | undefined;

/** Both matrices; made at the first call. */
export function denseMatrices(): DenseMatrices {
  if (!made) {
    const rotation = denseNormals(ROTATION_SEED);
    gramSchmidt(rotation);
    const sketch = denseNormals(SKETCH_SEED);
    made = { rotation, unrotation: transposed(rotation), sketch, unsketch: transposed(sketch) };
  }
  return made;
}

/** Products with the matrices, on a backend if one is given: equal bit for bit. */
export interface DenseProducts {
  /** y = M x. x, y: (128,). */
  product(matrix: keyof DenseMatrices, x: Float32Array, y: Float32Array): void;
  /** Gives back what it holds of the backend's memory. */
  release(): void;
}

/** Transposes of each other: column j of one is row j of the other. */
const TRANSPOSE: Record<keyof DenseMatrices, keyof DenseMatrices> = {
  rotation: "unrotation",
  unrotation: "rotation",
  sketch: "unsketch",
  unsketch: "sketch",
};

/** On a backend a product is a weighted sum of columns, which adds in the same order. */
export function denseProducts(kernels?: Kernels): DenseProducts {
  const matrices = denseMatrices();
  if (!kernels) return { product: (matrix, x, y) => denseProduct(matrices[matrix], x, y), release: () => {} };
  const { arena } = kernels;
  const vector = arena.allocate(8 * DENSE);
  const sum = vector + 4 * DENSE;
  const columns = new Map<keyof DenseMatrices, number>();
  const columnsOf = (matrix: keyof DenseMatrices): number => {
    let at = columns.get(matrix);
    if (at === undefined) {
      const rows = matrices[TRANSPOSE[matrix]];
      at = arena.allocate(4 * rows.length);
      arena.f32.set(rows, at >>> 2);
      columns.set(matrix, at);
    }
    return at;
  };
  return {
    product(matrix, x, y) {
      const at = columnsOf(matrix);
      const { f32 } = arena;
      f32.set(x, vector >>> 2);
      f32.fill(0, sum >>> 2, (sum >>> 2) + DENSE);
      kernels.accumulateF32(vector, at, DENSE, DENSE, sum);
      y.set(arena.floats(sum, DENSE));
    },
    release() {
      for (const pointer of [vector, ...columns.values()]) arena.release(pointer);
      columns.clear();
    },
  };
}
