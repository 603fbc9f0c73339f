/** A fork's own code, however it is reached: a process that speaks our protocol, or a shared library behind one. */
export interface Fork {
  /** x: (n, dim) → packed bytes; undefined where the fork has no encoder. @throws ForkError */
  encode(x: Float32Array, dim: number): Promise<Uint8Array | undefined>;
  /** packed bytes of n vectors → values in the engine's own basis, (n, width); undefined where it has no decoder. */
  decode(packed: Uint8Array, dim: number, vectors: number): Promise<Float32Array | undefined>;
  /** Lets it end. @throws ForkError when it does not end well. */
  close(): Promise<void>;
}

/** The fork could not be reached, died, took too long or broke the protocol. One line says which. */
export class ForkError extends Error {
  override readonly name = "ForkError";
}
