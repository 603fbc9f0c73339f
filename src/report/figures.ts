/** What the page draws besides the table's columns: measured only when a page is asked for. */
import type { Kernels } from "../kernels/kernels.js";
import { type AttentionTime, measureAttention } from "./attention-time.js";
import type { Configuration } from "./configuration.js";
import { type Coordinates, viewCoordinates } from "./coordinates.js";
import { measureRates, type Rate } from "./rates.js";
import type { Recording } from "./recording.js";

export interface Figures {
  readonly rates: readonly Rate[];
  /** Keys of one head, the one whose coordinates are least alike. */
  readonly coordinates: Coordinates & { readonly layer: number; readonly head: number };
  readonly attention: readonly AttentionTime[];
}

/** The format whose rotation and cells are shown. */
const SHOWN = "turbo3";

export function measureFigures(
  recording: Recording,
  configurations: readonly Configuration[],
  kernels: Kernels,
  progress: (done: number, total: number, what: string) => void,
): Figures {
  return {
    rates: measureRates(recording, kernels, progress),
    coordinates: leastAlike(recording),
    attention: measureAttention(recording, configurations, undefined, progress),
  };
}

/** Keys of the head in which the largest coordinate stands out most from the others. */
function leastAlike({ layers, kvHeads, tokens, dim }: Recording): Figures["coordinates"] {
  const heads = layers.flatMap(({ layer, key }) =>
    Array.from({ length: kvHeads }, (_, head) => ({
      layer,
      head,
      ...viewCoordinates(key.subarray(head * tokens * dim, (head + 1) * tokens * dim), {
        format: SHOWN,
        dim,
        seed: 0,
        side: "key",
      }),
    })),
  );
  return heads.reduce((most, view) =>
    Math.max(...view.rmsBefore) > Math.max(...most.rmsBefore) ? view : most,
  );
}
