/** Inputs that expose faults, few enough to run in seconds, each with what it can show. */
import { randomStream } from "../core/random.js";

/** Head dimensions of real models: every class of padding and of Hadamard block is among them. */
export const HEAD_DIMS: readonly number[] = [128, 64, 256, 32, 80, 96, 112, 192, 320, 512, 576];

/** An input that exposes faults, made from a seed. */
export interface Case {
  readonly name: string;
  readonly exposes: readonly string[];
  /** (n, dim) */
  readonly make: (dim: number) => Float32Array;
}

const rows =
  (n: number, value: (v: number, i: number, dim: number) => number) =>
  (dim: number): Float32Array =>
    Float32Array.from({ length: n * dim }, (_, k) => value(Math.floor(k / dim), k % dim, dim));

const gaussian =
  (n: number, seed: number, shape: (t: number, v: number, i: number) => number) =>
  (dim: number): Float32Array => {
    const r = randomStream(seed, "cases");
    return rows(n, (v, i) => shape(r.normal(), v, i))(dim);
  };

/** The inputs that expose faults. */
export const CASES: readonly Case[] = [
  { name: "gaussian", exposes: ["rotation", "codebook", "norm", "packing"], make: gaussian(64, 1, (t) => t) },
  { name: "heavy-tailed", exposes: ["norm", "quant-scale"], make: gaussian(32, 2, (t) => t * t * t) },
  {
    name: "outlier-channels",
    exposes: ["rotation-missing", "stride-head"],
    make: gaussian(32, 3, (t, _v, i) => (i % 37 === 5 ? 20 * t : t)),
  },
  { name: "key-offset", exposes: ["rotation-unsigned", "scale-rule"], make: gaussian(32, 4, (t) => t + 5) },
  {
    name: "magnitudes",
    exposes: ["norm-squared", "norm-missing", "rotation-f16"],
    make: gaussian(24, 5, (t, v) => t * 10 ** ((v % 9) - 4)),
  },
  {
    name: "one-hot",
    exposes: ["rotation", "stride-head", "pack-interleaved"],
    make: rows(32, (v, i, dim) => (i === (v * 13) % dim ? 1 : 0)),
  },
  { name: "constant", exposes: ["rotation-unsigned", "boundary-tie"], make: rows(8, (v) => (v - 3.5) / 2) },
  {
    name: "walsh-rows",
    exposes: ["rotation-unsigned", "rotation-order"],
    make: rows(16, (v, i) => (parity(i & v) ? -1 : 1)),
  },
  {
    name: "alternating",
    exposes: ["rotation-unsigned", "pack-interleaved"],
    make: rows(4, (v, i) => ((i >> v) & 1 ? -1 : 1)),
  },
  {
    name: "ties",
    exposes: ["quant-truncate", "quant-half-even", "boundary-tie"],
    make: rows(16, (v, i) => (i === 0 ? 127 : (((i * 7 + v) % 250) - 125 + 0.5) / 1)),
  },
  { name: "zeros", exposes: ["zero-vector", "boundary-tie"], make: rows(4, (v) => (v % 2 === 0 ? 0 : -0)) },
  {
    name: "tiny",
    exposes: ["overflow-silent", "zero-vector"],
    make: gaussian(8, 6, (t, v) => t * 10 ** -(v + 5)),
  },
  { name: "fp16-limits", exposes: ["overflow-silent"], make: gaussian(8, 7, (t, v) => t * 1000 * (v + 1)) },
  {
    name: "huge",
    exposes: ["overflow-silent", "norm-squared"],
    make: gaussian(8, 8, (t, v) => t * 10 ** (4 + 2 * v)),
  },
];

/** What changes with the dimension: padding, blocks, tables and factors that were made for another one. */
const BY_DIM = ["gaussian", "outlier-channels", "one-hot", "constant", "zeros"];
const DIM_FAULTS = ["pad-missing", "rotation-scale", "codebook-sigma", "pack-tail-dropped", "norm-block"];

/** A case at one dimension. */
export interface CaseAt extends Case {
  readonly dim: number;
}

/** All cases at the first dimension, those that depend on it at the others. */
export function casesAt(dims: readonly number[]): CaseAt[] {
  return dims.flatMap((dim, i) =>
    CASES.filter(({ name }) => i === 0 || BY_DIM.includes(name)).map((c) =>
      i === 0
        ? { ...c, dim }
        : { ...c, dim, name: `${c.name}-d${dim}`, exposes: [...new Set([...c.exposes, ...DIM_FAULTS])] },
    ),
  );
}

function parity(bits: number): boolean {
  let p = 0;
  for (let b = bits; b > 0; b >>= 1) p ^= b & 1;
  return p === 1;
}
