/** What the parts of the diagnosis of decoded values share. */
import type { Budget } from "../budget.js";
import type { Order } from "../packed/stage.js";
import type { Reading } from "../pipeline/readings.js";
import type { Transform } from "../pipeline/transforms.js";
import type { Wire } from "../pipeline/wire.js";

/** One basis in which the values may be meant. */
export interface View {
  readonly id: string;
  readonly note: string;
  readonly y: readonly Float64Array[];
  /** The decoder's wrong inverse: the encoder may have used the same. */
  readonly transform?: Transform;
}

/** Decoded values of one dump, and what is tried on them. */
export interface Search {
  readonly wire: Wire;
  readonly all: readonly Order[];
  readonly transforms: readonly Transform[];
  readonly reads: readonly Reading[];
  readonly picked: readonly number[];
  readonly renormalising: boolean;
  /** Largest error of a value, in a group's largest. */
  readonly slack: number;
  readonly budget: Budget;
  rotated(o: number, t: number, g: number): Float64Array;
}
