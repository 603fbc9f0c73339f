/**
 * The model's kernels: the module's ABI. A module of its own beside the codec's, so that the codec stays small.
 * The memory is imported and shared (worker threads run the same kernels on it); pointers are byte offsets, kernels
 * allocate nothing and check nothing. A kernel that takes `begin, end` does that part of its outermost range (rows
 * of a matrix, heads) and may run on several threads at once with a scratch each.
 *
 * Unlike the codec's, these kernels are not on the bit path: lane order is free here and exp is a polynomial.
 */
export { matmul, matmulScratch } from "./matmul";
export { attend, attendScratch } from "./attention";
export { dequantise } from "./dequantise";
export { add, addRows, halves, rmsNorm, rope, silu } from "./elementwise";

export const ABI_VERSION: i32 = 1;
/** First byte the caller may use. */
export const heapBase: usize = __heap_base;
