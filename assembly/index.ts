/**
 * The ABI: raw pointers into the one imported memory (env.memory), no allocation, no checks. What each function does
 * is said in src/kernels/kernels.ts, what a plan is in src/kernels/plan.ts. Base SIMD only, never relaxed: every
 * result is defined to the bit.
 *
 *   f32ToF16, f16ToF32          half         conversion
 *   rotate, unrotate            wht          signed Walsh–Hadamard transform
 *   encode                      encode       + cells, pack: quantisation and the bit stream; trellis: a path search
 *   decode, decodeRotated       decode       + indices, levels: table lookup
 *   score                       score        ⟨query, key⟩
 *   accumulate                  accumulate   Σ weight · value
 *   project                     sketch       QJL
 */

/** Changes with any change to the functions, their arguments or the plan record. */
export const ABI_VERSION: i32 = 5;
/** The first byte of memory that the module does not use. */
export const heapBase: usize = __heap_base;

export { accumulate } from "./accumulate";
export { decode, decodeRotated } from "./decode";
export { encode } from "./encode";
export { f16ToF32, f32ToF16 } from "./half";
export { score } from "./score";
export { project } from "./sketch";
export { rotate, unrotate } from "./wht";
