/** The attentions that a worker has open, each with codecs and working space of its own, and one unit after the other of a step. */
import { Attention } from "../attention/attend.js";
import { openSide } from "../attention/open-side.js";
import { PRECISIONS } from "../attention/readers.js";
import type { Share } from "../attention/share.js";
import type { SideCodec } from "../attention/side-codec.js";
import type { AttentionRecipe } from "../attention/threaded.js";
import type { Kernels } from "../kernels/kernels.js";
import { AT, type Job, ListedLayer, StepOptions } from "./job.js";
import type { Mail } from "./messages.js";

interface Opened {
  readonly attention: Attention;
  readonly codecs: readonly SideCodec[];
  readonly layer: ListedLayer;
}

export class WorkerSteps {
  readonly #kernels: Kernels;
  readonly #job: Job;
  readonly #opened = new Map<number, Opened>();
  readonly #options = new StepOptions();
  #queries = new Float32Array(0);
  #out = new Float32Array(0);

  constructor(kernels: Kernels, job: Job) {
    this.#kernels = kernels;
    this.#job = job;
  }

  take({ id, recipe }: Mail): void {
    if (recipe) {
      this.#opened.set(id, this.#open(recipe));
      return;
    }
    const opened = this.#opened.get(id);
    this.#opened.delete(id);
    opened?.attention.release();
    for (const codec of opened?.codecs ?? []) codec.release();
  }

  /** The units that `share` gives, all of the step that is written down. */
  run(share: Share): void {
    const job = this.#job;
    const { words } = job;
    const { arena } = this.#kernels;
    if (arena.u8.length < words[AT.bytes]!) arena.refresh();
    const { attention, codecs, layer } = this.#opened.get(words[AT.attention]!)!;
    this.#queries = this.#view(this.#queries, words[AT.queries]!);
    this.#out = this.#view(this.#out, words[AT.out]!);
    attention.attend(
      layer.open(job, codecs),
      this.#queries,
      words[AT.heads]!,
      this.#out,
      PRECISIONS[words[AT.precision]!]!,
      this.#options.open(job),
      share,
    );
  }

  /** The values of the step at a pointer; the view of the last step where it is the same. */
  #view(last: Float32Array<ArrayBuffer>, pointer: number): Float32Array<ArrayBuffer> {
    const values = this.#job.words[AT.values]!;
    if (last.byteOffset === pointer && last.length === values) return last;
    return this.#kernels.arena.floats(pointer, values);
  }

  #open({ dim, kvHeads, pageTokens, sides, halves, center }: AttentionRecipe): Opened {
    const codecs = sides.map(({ format, ...options }) => openSide(format, this.#kernels, options));
    const attention = new Attention(this.#kernels, dim, kvHeads, codecs, { halves, center });
    return { attention, codecs, layer: new ListedLayer(this.#kernels.arena, pageTokens) };
  }
}
