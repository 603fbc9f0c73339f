/**
 * Kernels of attention, over tiles of packed vectors and over other rows: the ABI of a module of its own, on the codec's memory and plans, so
 * that either stays small. What each function does is said in src/kernels/kernels.ts.
 *
 *   tileKeys, untileKeys, tileValues, untileValues   tile                 rows of bytes ↔ tiles
 *   prepareTables8, prepareTables16                  tables               a query as tables
 *   scoreTables8, scoreTables16                      score-tables         ⟨query, key⟩ by lookup
 *   prepareIntegers, scoreIntegers                   score-integers       ⟨query, key⟩ for many queries
 *   accumulateIntegers                               accumulate-integers  Σ weight · value
 *   gatherSums                                       gather-sums          such sums in order
 *   attendTiles                                      attend-tiles         a row of attention, all of it
 *   dotF32, accumulateF32                            ../dense             both over f32 rows
 *   dotQ8, dotQ4                                     ../ggml-dot          ⟨query, key⟩ over ggml blocks
 *   scaleMax, softmaxWeights, weighTile              ../softmax           e^(score − maximum)
 *   addWaves                                         ../waves             ⟨query, turning mean⟩ added to scores
 */

/** Changes with any change to the functions, their arguments, the tiles or the plan record. */
export const ABI_VERSION: i32 = 5;
/** The first byte of memory that the module does not use. */
export const heapBase: usize = __heap_base;

export { accumulateF32, dotF32 } from "../dense";
export { dotQ4, dotQ8 } from "../ggml-dot";
export { scaleMax, softmaxWeights, weighTile } from "../softmax";
export { addWaves } from "../waves";
export { accumulateIntegers } from "./accumulate-integers";
export { attendTiles } from "./attend-tiles";
export { gatherSums } from "./gather-sums";
export { prepareIntegers, scoreIntegers } from "./score-integers";
export { scoreTables16, scoreTables8 } from "./score-tables";
export { prepareTables16, prepareTables8 } from "./tables";
export { tileKeys, tileValues, untileKeys, untileValues } from "./tile";
