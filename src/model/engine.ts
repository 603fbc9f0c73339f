/**
 * The model's kernels (assembly/model) on one shared memory, run by this thread and any number of workers.
 *
 * Work of a kernel is split along its outermost range: threads draw pieces from a shared counter, so a slow or
 * busy core only takes fewer of them. The calling thread always works too, and waits for the others at the end.
 */
import { MODEL_BASE64 } from "./embedded.generated.js";
import { type KernelPool, startPool } from "./kernel-pool.js";

type Numbers = readonly number[];

export interface ModelKernels {
  readonly heapBase: { readonly value: number };
  readonly ABI_VERSION: { readonly value: number };
  matmulScratch(k: number): number;
  attendScratch(total: number, headDim: number): number;
  dequantise(type: number, from: number, to: number, n: number): void;
  add(x: number, y: number, n: number): void;
  addRows(x: number, bias: number, rows: number, n: number): void;
  silu(gate: number, up: number, n: number): void;
  rmsNorm(x: number, weight: number, out: number, rows: number, n: number, epsilon: number): void;
  rope(
    x: number,
    table: number,
    tokens: number,
    heads: number,
    headDim: number,
    pairs: number,
    split: number,
  ): void;
  halves(from: number, to: number, n: number): void;
}

/** Kernels that are run in pieces. Their last argument, a thread's scratch, is the pool's. */
export type SplitKernel = "matmul" | "attend";

const PAGE = 65_536;
const MAX_PAGES = 65_536;
const ABI_VERSION = 1;
const align = (bytes: number): number => Math.ceil(bytes / 64) * 64;

export class Engine {
  readonly kernels: ModelKernels;
  readonly #memory: WebAssembly.Memory;
  readonly #pool: KernelPool;
  readonly #scratch: { at: number; bytes: number }[];
  #top: number;

  private constructor(kernels: ModelKernels, memory: WebAssembly.Memory, pool: KernelPool) {
    this.kernels = kernels;
    this.#memory = memory;
    this.#pool = pool;
    this.#top = align(kernels.heapBase.value);
    this.#scratch = Array.from({ length: pool.threads }, () => ({ at: 0, bytes: 0 }));
  }

  /** threads: this one included. Where workers cannot be started there are fewer (see `threads`). */
  static async start(threads = 1): Promise<Engine> {
    const bytes = Uint8Array.from(Buffer.from(MODEL_BASE64, "base64"));
    const module = await WebAssembly.compile(bytes);
    const memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true });
    const instance = await WebAssembly.instantiate(module, { env: { memory } });
    const kernels = instance.exports as unknown as ModelKernels;
    if (kernels.ABI_VERSION.value !== ABI_VERSION)
      throw new Error("the embedded model kernels are of another build");
    const pool = await startPool(module, memory, instance.exports, threads);
    return new Engine(kernels, memory, pool);
  }

  /** Threads that work, this one included. */
  get threads(): number {
    return this.#pool.threads;
  }

  /** Bytes of the memory. */
  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** `bytes` new bytes, 64-byte aligned, zero. Never freed: an engine lives as long as its model. */
  allocate(bytes: number): number {
    const at = this.#top;
    const end = align(at + bytes);
    const missing = Math.ceil((end - this.#memory.buffer.byteLength) / PAGE);
    if (end > MAX_PAGES * PAGE)
      throw new RangeError(`"bytes" expected a model of at most 4 GB, got ${end} bytes`);
    if (missing > 0) this.#memory.grow(missing);
    this.#top = end;
    return at;
  }

  /** A view; valid as long as the engine (a shared memory is never moved). */
  f32(at: number, length: number): Float32Array {
    return new Float32Array(this.#memory.buffer, at, length);
  }
  u8(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at, length);
  }

  /** Makes every thread's scratch at least `bytes` long. */
  reserveScratch(bytes: number): void {
    for (const scratch of this.#scratch) {
      if (scratch.bytes >= bytes) continue;
      scratch.at = this.allocate(bytes);
      scratch.bytes = bytes;
    }
  }

  /** Runs `kernel` over [0, end) in pieces of `piece`. args: those between `begin, end` and the scratch. */
  run(kernel: SplitKernel, end: number, piece: number, args: Numbers): void {
    this.#pool.run(
      kernel,
      end,
      piece,
      args,
      this.#scratch.map(({ at }) => at),
    );
  }

  /** Ends the workers. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}
