/** What the caller's thread posts to workers. */
import type { AttentionRecipe } from "../attention/threaded.js";
import type { SharedWasm } from "../kernels/wasm.js";

/** What a worker begins with: the memory, and where in it control words and job are. */
export interface WorkerStart {
  readonly shared: SharedWasm;
  readonly control: number;
  readonly job: number;
}

/** An attention that steps will name by `id`, or that none will name any more. */
export type Mail =
  | { readonly id: number; readonly recipe: AttentionRecipe }
  | { readonly id: number; readonly recipe?: undefined };

/** What a worker says, once, when it can take units. */
export const READY = "ready";
