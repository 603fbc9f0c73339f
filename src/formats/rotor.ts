/** Rotations of single blocks, by a backend's kernels where there are some; the bits are the same. */
import { createQuantizer } from "../core/quantizer.js";
import { type Rotation, rotate } from "../core/wht.js";
import type { Kernels } from "../kernels/kernels.js";
import { createPlan } from "../kernels/plan.js";

/** A vector to be filled, and what rotates it in place. */
export interface Rotor {
  /** (dim,), until memory that others use has grown: ask again for each vector. */
  readonly values: Float32Array;
  rotate(): void;
  /** Gives back what it holds of a backend's memory. */
  release(): void;
}

export function rotorOf(rotation: Rotation, kernels: Kernels | undefined): Rotor {
  if (!kernels) {
    const values = new Float32Array(rotation.dim);
    return { values, rotate: () => rotate(rotation, values), release: () => {} };
  }
  const { arena } = kernels;
  // Of the plan only the rotation is used.
  const plan = createPlan(arena, createQuantizer(rotation, 1, "least-squares"));
  const at = arena.allocate(4 * rotation.dim);
  let view = arena.floats(at, rotation.dim);
  return {
    get values() {
      if (view.buffer !== arena.f32.buffer) view = arena.floats(at, rotation.dim);
      return view;
    },
    rotate: () => kernels.rotate(plan.pointer, at, 1),
    release: () => {
      arena.release(at);
      plan.release();
    },
  };
}
