/**
 * The plan record, as src/kernels/plan.ts lays it out: little-endian words at fixed offsets. The first file to read
 * next is index.ts, the ABI.
 */

@inline export function dimOf(plan: usize): usize { return load<u32>(plan); }
@inline export function blockOf(plan: usize): usize { return load<u32>(plan, 4); }
@inline export function bitsOf(plan: usize): i32 { return load<i32>(plan, 8); }
@inline export function ruleOf(plan: usize): i32 { return load<i32>(plan, 12); }
@inline export function strideOf(plan: usize): usize { return load<u32>(plan, 16); }
@inline export function codesAt(plan: usize): usize { return load<u32>(plan, 20); }
@inline export function signsAt(plan: usize): usize { return load<u32>(plan, 24); }
@inline export function sketchRowsOf(plan: usize): usize { return load<u32>(plan, 28); }
@inline export function unitOf(plan: usize): f32 { return load<f32>(plan, 32); }
@inline export function gainOf(plan: usize): f32 { return load<f32>(plan, 36); }
@inline export function rootDimOf(plan: usize): f32 { return load<f32>(plan, 40); }
@inline export function factorOf(plan: usize): f32 { return load<f32>(plan, 44); }
@inline export function beforeOf(plan: usize): usize { return load<u32>(plan, 48); }
@inline export function afterOf(plan: usize): usize { return load<u32>(plan, 52); }
@inline export function boundariesOf(plan: usize): usize { return load<u32>(plan, 56); }
@inline export function centroidsOf(plan: usize): usize { return load<u32>(plan, 60); }
@inline export function levelsOf(plan: usize): usize { return load<u32>(plan, 64); }
@inline export function centerOf(plan: usize): usize { return load<u32>(plan, 68); }
@inline export function matrixOf(plan: usize): usize { return load<u32>(plan, 72); }
@inline export function windowOf(plan: usize): i32 { return load<i32>(plan, 80); }
@inline export function searchOf(plan: usize): usize { return load<u32>(plan, 84); }
@inline export function wordPlanesOf(plan: usize): usize { return load<u32>(plan, 88); }
@inline export function bytePlanesOf(plan: usize): usize { return load<u32>(plan, 92); }
@inline export function wordUnitOf(plan: usize): f32 { return load<f32>(plan, 96); }
@inline export function byteUnitOf(plan: usize): f32 { return load<f32>(plan, 100); }
@inline export function signPlanesOf(plan: usize): usize { return load<u32>(plan, 104); }

// The scratch, 16·dim bytes (dim ≥ 32, so 512 at least), is used as
//   0        4·dim   z          the vector on its way
//   4·dim    4·dim   residual   what the sketch describes; before that the centroids of the vector
//   8·dim    dim     codes      a byte each
//  12·dim    128        small      in encode:  0 planes of the centroids, 64 eight projections
//                                  elsewhere:  0 how codes are spread (indices.ts), 64 planes of the levels

@inline export function scratchOf(plan: usize): usize { return load<u32>(plan, 76); }
@inline export function residualOf(plan: usize): usize { return scratchOf(plan) + dimOf(plan) * 4; }
@inline export function codesOf(plan: usize): usize { return scratchOf(plan) + dimOf(plan) * 8; }
@inline export function smallOf(plan: usize): usize { return scratchOf(plan) + dimOf(plan) * 12; }
