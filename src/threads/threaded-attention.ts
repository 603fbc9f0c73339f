/** Attention of one cache over threads: what workers need of a step is written down, and all units are done by whoever comes first. */
import type { AttendOptions, Attention } from "../attention/attend.js";
import type { PagedLayer } from "../attention/paged-layer.js";
import type { Precision } from "../attention/readers.js";
import type { SideCodec } from "../attention/side-codec.js";
import type { AttentionRecipe, AttentionSteps } from "../attention/threaded.js";
import type { Arena } from "../kernels/arena.js";
import { MOST_UNITS } from "./control.js";
import { AT, putLayer, putOptions } from "./job.js";
import type { Team } from "./team.js";

/** Tokens · values of queries below which a step is over before a worker has woken: 512 tokens of 8 heads of 128. */
const WORTH = 512 * 8 * 128;

export class ThreadedAttention implements AttentionSteps {
  readonly #team: Team;
  readonly #arena: Arena;
  readonly #own: Attention;
  readonly #codecs: readonly SideCodec[];
  readonly #id: number;
  readonly #recipe: AttentionRecipe;
  readonly #scale: number;
  /** (values,) f32 each, that workers read and write. */
  #queriesAt = 0;
  #outAt = 0;
  #queries = new Float32Array(0);
  #out = new Float32Array(0);
  /** u32, room for so many. */
  #pages = 0;
  #pagesRoom = 0;

  constructor(
    team: Team,
    arena: Arena,
    own: Attention,
    codecs: readonly SideCodec[],
    id: number,
    recipe: AttentionRecipe,
  ) {
    this.#team = team;
    this.#arena = arena;
    this.#own = own;
    this.#codecs = codecs;
    this.#id = id;
    this.#recipe = recipe;
    this.#scale = 1 / Math.sqrt(recipe.dim);
    team.post({ id, recipe });
  }

  attend(
    runs: PagedLayer,
    queries: Float32Array,
    heads: number,
    out: Float32Array,
    precision: Precision,
    options: AttendOptions,
  ): void {
    const own = this.#own;
    const team = this.#team;
    const { kvHeads, dim } = this.#recipe;
    const parts = partsFor(kvHeads, queries.length / (dim * kvHeads), team.workers + 1);
    const units = kvHeads * parts;
    const { window = runs.tokens, sinks = 0 } = options;
    const work = Math.min(runs.tokens, window + sinks) * queries.length;
    if (team.workers === 0 || !team.isFree || units > MOST_UNITS || work < WORTH) {
      own.attend(runs, queries, heads, out, precision, options);
      return;
    }
    this.#write(runs, queries, heads, precision, options);
    team.publish(units, parts, work);
    const { own: taken, rest } = team.caller;
    try {
      own.attend(runs, queries, heads, this.#out, precision, options, taken);
    } finally {
      if (!team.wait()) {
        const start = performance.now();
        own.attend(runs, queries, heads, this.#out, precision, options, rest);
        team.learn(performance.now() - start);
      }
    }
    out.set(this.#out);
  }

  close(): void {
    this.#team.post({ id: this.#id });
    if (!this.#team.isFree) return; // a worker may still write there
    for (const at of [this.#queriesAt, this.#outAt, this.#pages]) if (at !== 0) this.#arena.release(at);
    this.#queriesAt = this.#outAt = this.#pages = 0;
  }

  #write(
    runs: PagedLayer,
    queries: Float32Array,
    heads: number,
    precision: Precision,
    options: AttendOptions,
  ): void {
    const arena = this.#arena;
    const { job } = this.#team;
    const pages = Math.ceil(runs.tokens / runs.pageTokens);
    this.#makeRoom(queries.length, pages);
    this.#queries.set(queries);
    const { u32 } = arena;
    const list = this.#pages >>> 2;
    for (let i = 0; i < pages; i++) u32[list + i] = runs.page(i);
    putOptions(job, this.#scale, precision, options);
    putLayer(job, runs, this.#codecs, this.#pages);
    const { words } = job;
    words[AT.attention] = this.#id;
    words[AT.bytes] = arena.u8.length;
    words[AT.queries] = this.#queriesAt;
    words[AT.out] = this.#outAt;
    words[AT.values] = queries.length;
    words[AT.heads] = heads;
  }

  /** Regions grow with the largest step; views change with the size of one. */
  #makeRoom(values: number, pages: number): void {
    const arena = this.#arena;
    if (pages > this.#pagesRoom) {
      if (this.#pages !== 0) arena.release(this.#pages);
      this.#pagesRoom = 2 * pages;
      this.#pages = arena.allocate(4 * this.#pagesRoom);
    }
    if (values === this.#queries.length) return;
    for (const at of [this.#queriesAt, this.#outAt]) if (at !== 0) arena.release(at);
    this.#queriesAt = arena.allocate(4 * values);
    this.#outAt = arena.allocate(4 * values);
    this.#queries = arena.floats(this.#queriesAt, values);
    this.#out = arena.floats(this.#outAt, values);
  }
}

/** Parts of a head's rows: 1 where heads alone keep all threads busy, since a part decodes what the others decode too. */
const partsFor = (heads: number, rows: number, threads: number): number =>
  heads % threads === 0 || heads >= 2 * threads ? 1 : Math.min(rows, threads);
