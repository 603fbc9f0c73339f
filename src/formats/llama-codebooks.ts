/**
 * Codebooks of the llama.cpp fork, for a unit vector of 128 rotated values, as ggml-turbo-quant.c has them.
 *
 * They are the fork's numbers, not Lloyd–Max tables: `LLAMA_FOUR` is far from optimal (relative error .018 where the
 * true table gives .0092), the boundaries are rounded midpoints.
 */
import { symmetricCodebook } from "./native-codebook.js";

export const LLAMA_TWO = symmetricCodebook([0.039994, 0.133462], [0.086728]);

export const LLAMA_THREE = symmetricCodebook(
  [0.02146, 0.065717, 0.117832, 0.190685],
  [0.043589, 0.091775, 0.154259],
);

export const LLAMA_FOUR = symmetricCodebook(
  [0.006938, 0.020989, 0.035597, 0.051262, 0.068756, 0.089527, 0.117195, 0.173926],
  [0.013963, 0.028293, 0.04343, 0.060009, 0.079142, 0.103361, 0.14556],
);
