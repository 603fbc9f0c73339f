/**
 * Which faults of a cache reproduce what was read: every fault alone, of the cache's life and of its reads, in caches
 * built in every usual way; then two at once.
 */

import { type Fault, pairId } from "../verdict.js";
import { markOf } from "./digest.js";
import { evidenceFaults } from "./evidence.js";
import { ALIAS_FAULTS, frees, HABITS, LIFE_FAULTS, PLAIN_HABITS, readFaults } from "./faults.js";
import { IdleHabits } from "./habits.js";
import type { Loaded } from "./loaded.js";
import { type Habits, type LifeFault, live, type State } from "./model.js";
import { layerOf, mergedReads, positionsOf, type ReadFault, slotOf, sourcesOf, tokenIn } from "./reading.js";
import { Sight } from "./sight.js";

const NO_LIFE_FAULT: LifeFault = { id: "", note: "" };
const NO_READ_FAULT: ReadFault = { id: "", note: "" };

/** Vectors compared, or tokens replayed, per stage at most, counted so that no machine's load changes an answer: half a second. */
const WORK = 8e6;
/** In all stages together: little more than a second. */
const ALL_WORK = 1.6e7;
/** A hypothesis that leaves more than this share of what is wrong explains nothing. */
const LEFT = 0.8;
/** What a pair that leaves something has to explain more than one fault alone. */
const SECOND = 0.1;
/** Vectors from behind the last token that may be anything: of those that are wrong, at most. */
const REST = 0.25;
/** So many hypotheses are tried with every habit. */
const REFINED = 12;
/** With a second fault of life, the first is tried as so many habits make it, those that explain most. */
const BEST_HABITS = 6;

interface Hypothesis {
  readonly faults: readonly (LifeFault | ReadFault)[];
  readonly life: LifeFault;
  readonly read: ReadFault;
}

interface Life {
  readonly fault: LifeFault;
  readonly habits: Habits;
  readonly states: readonly State[];
}

/** Vectors that come out otherwise than they were given, and those that may, as nobody knows what lies there. */
interface Score {
  readonly left: number;
  readonly rest: number;
}

interface Found extends Score {
  readonly faults: readonly (LifeFault | ReadFault)[];
}

/** Faults that reproduce what was given, the best first; with none, what the evidence says by itself. */
export function searchFaults(l: Loaded, due: readonly Int32Array[]): Fault[] {
  const sight = new Sight(l);
  const search = new Search(l, sight);
  search.run();
  return search.ordered(search.whole ? [] : evidenceFaults(l, sight, due));
}

class Search {
  readonly #l: Loaded;
  readonly #sight: Sight;
  readonly #reads: ReadFault[];
  readonly #seen = new Set<string>();
  /** Without faults of life: with a table per layer, and with one. */
  readonly #bases: Life[] = [];
  readonly #lives: Life[] = [];
  readonly #helpful: { readonly life: Life; readonly left: number }[] = [];
  readonly #found: Found[] = [];
  readonly #before: number;
  readonly #replay: number;
  readonly #positions: number[] = [];
  /** The best pair. */
  #least: Score;
  #refined = 0;
  #work = 0;
  /** Of work, in this stage. */
  #limit = WORK;

  constructor(l: Loaded, sight: Sight) {
    this.#l = l;
    this.#sight = sight;
    this.#reads = readFaults(l.trace);
    this.#replay = l.origins.length + 4 * l.reads.length * l.trace.layers;
    this.#before = this.#score(this.#lived(NO_LIFE_FAULT, HABITS[0]!), NO_READ_FAULT).left;
    this.#least = { left: LEFT * this.#before, rest: Infinity };
  }

  run(): void {
    let left = ALL_WORK;
    for (const stage of [this.#singles, this.#withReads, this.#twoReads, this.#twoLives]) {
      this.#limit = Math.min(WORK, left);
      this.#work = 0;
      stage.call(this);
      if (this.#done) return;
      left -= this.#work;
    }
  }

  /** Nothing is left to explain. */
  get #done(): boolean {
    return this.#found.some((f) => f.left === 0 && f.rest === 0);
  }

  /** Something reproduces every read, but for what nobody knows. */
  get whole(): boolean {
    return this.#found.some((f) => f.left === 0);
  }

  /** The best first, one of each id; more: of other evidence. */
  ordered(more: readonly Fault[]): Fault[] {
    const total = this.#sight.given.reduce((n, g) => n + g.keys.length + g.values.length, 0);
    const before = this.#before;
    const worth = ({ left, rest, faults }: Found): number => {
      const pair = faults.length > 1;
      // A second fault has to say what lies behind the last tokens, too, if one alone explains the others.
      if (left === 0) return 2 - (pair ? 2.5 + 4 * rest : rest) / (total + before + 8);
      return (before - left) / before - (pair ? SECOND : 0);
    };
    const all = this.#found.map((f) => ({
      worth: worth(f),
      id: pairId(f.faults.map(({ id }) => id)),
      explains: (before - f.left) / before,
      evidence: `${before - f.left} of ${before} wrong vectors (of ${total} read) are reproduced: ${f.faults.map(({ note }) => note).join("; ")}`,
    }));
    all.push(...more.map((f) => ({ ...f, worth: f.explains })));
    all.sort((a, b) => b.worth - a.worth);
    const named = new Set<string>();
    return all
      .filter(({ id }) => !named.has(id) && named.add(id))
      .slice(0, 8)
      .map(({ id, explains, evidence }) => ({ id, explains, evidence }));
  }

  #lived(fault: LifeFault, habits: Habits): Life {
    this.#work += this.#replay;
    return {
      fault,
      habits,
      states: live(this.#l.trace, this.#l.trace.ops, fault, habits),
    };
  }

  /** The same tokens as an earlier life's are none. */
  #fresh(life: Life, mark = markOf(life.states, this.#l.trace.pageSize)): boolean {
    return !this.#seen.has(mark) && this.#seen.add(mark) !== undefined;
  }

  /** Keeps what explains something; what leaves nothing, as the habits make it that fit best. */
  #keep({ faults, life, read }: Hypothesis, score: Score): void {
    if (score.left > LEFT * this.#before) return;
    let best = score;
    if (score.left === 0 && score.rest > 0 && this.#refined++ < REFINED)
      for (const habits of HABITS) {
        const other = this.#score(this.#lived(life, habits), read);
        if (other.left === 0 && other.rest < best.rest) best = other;
        if (best.rest === 0) break;
      }
    this.#found.push({ faults, ...best });
  }

  #singles(): void {
    for (const habits of PLAIN_HABITS) {
      const base = this.#lived(NO_LIFE_FAULT, habits);
      if (this.#fresh(base)) this.#bases.push(base);
    }
    const left = new Map<ReadFault, number>();
    for (const base of this.#bases)
      for (const read of this.#reads) {
        const score = this.#score(base, read);
        left.set(read, Math.min(score.left, left.get(read) ?? Infinity));
        this.#keep({ faults: [read], life: NO_LIFE_FAULT, read }, score);
      }
    this.#reads.sort((a, b) => left.get(a)! - left.get(b)!);
    for (const faults of [LIFE_FAULTS, ALIAS_FAULTS]) this.#lifeFaults(faults);
  }

  #lifeFaults(faults: readonly LifeFault[]): void {
    const idle = new IdleHabits();
    for (const habits of HABITS) {
      // Every fault is tried in a cache as most are.
      if (this.#done || (habits !== HABITS[0] && this.#work > this.#limit)) return;
      for (const fault of faults) {
        if (!frees(fault) && !PLAIN_HABITS.includes(habits)) continue;
        if (idle.skips(fault, habits)) continue;
        const life = this.#lived(fault, habits);
        const mark = markOf(life.states, this.#l.trace.pageSize);
        idle.learn(fault, habits, mark);
        if (!this.#fresh(life, mark)) continue;
        this.#lives.push(life);
        const score = this.#score(life, NO_READ_FAULT, this.#before);
        if (score.left < this.#before) this.#helpful.push({ life, left: score.left });
        this.#keep({ faults: [fault], life: fault, read: NO_READ_FAULT }, score);
      }
    }
  }

  /** The read's fault that explains most goes first: what it leaves is soon found. */
  #withReads(): void {
    for (const read of this.#reads)
      for (const life of this.#lives) {
        if (read.id === life.fault.id) continue;
        if (this.#pair({ faults: [life.fault, read], life: life.fault, read }, life)) return;
      }
  }

  #twoReads(): void {
    for (const base of this.#bases)
      for (const [i, a] of this.#reads.entries())
        for (const b of this.#reads.slice(i + 1)) {
          if (a.id === b.id) continue;
          for (const order of a.sides && b.sides
            ? [
                [a, b],
                [b, a],
              ]
            : [[a, b]]) {
            const hypothesis = {
              faults: [a, b],
              life: NO_LIFE_FAULT,
              read: mergedReads(order),
            };
            if (this.#pair(hypothesis, base)) return;
          }
        }
  }

  /** One of the two explains something alone. */
  #twoLives(): void {
    const tried = new Map<LifeFault, number>();
    for (const { life } of this.#helpful.sort((a, b) => a.left - b.left)) {
      const times = tried.get(life.fault) ?? 0;
      if (times >= BEST_HABITS) continue;
      tried.set(life.fault, times + 1);
      for (const other of LIFE_FAULTS) {
        if (life.fault.id === other.id) continue;
        if (this.#work > this.#limit) return;
        const both = { ...life.fault, ...other, id: "", note: "" };
        const lived = this.#lived(both, life.habits);
        if (!this.#fresh(lived)) continue;
        if (this.#pair({ faults: [life.fault, other], life: both, read: NO_READ_FAULT }, lived)) return;
      }
    }
  }

  /** Two at once: kept if they leave less than any before; whether that is nothing, or there is no more time. */
  #pair(hypothesis: Hypothesis, life: Life): boolean {
    const score = this.#score(life, hypothesis.read, this.#least.left);
    const { left, rest } = this.#least;
    if (score.left < left || (score.left === left && (score.rest < rest || left === 0))) {
      this.#least = score;
      this.#keep(hypothesis, score);
    }
    return (score.left === 0 && score.rest === 0) || this.#work > this.#limit;
  }

  /** Of more than `most`, no more are counted. */
  #score({ states }: Life, fault: ReadFault, most = Infinity): Score {
    const { trace, reads } = this.#l;
    const { pageSize } = trace;
    const sight = this.#sight;
    const from = sourcesOf(fault);
    let left = 0;
    let rest = 0;
    for (const [r, state] of states.entries()) {
      const positions = positionsOf(trace, fault, state, this.#positions);
      for (const side of SIDES) {
        const source = from[side];
        const layer = layerOf(fault, state, reads[r]!.layer!, source.side);
        const count = sight.given[r]![side].length;
        left += Math.abs(count - positions.length);
        for (let t = 0; t < count && t < positions.length; t++) {
          const slot = slotOf(fault, layer.pages.length, positions[t]!, pageSize, source.side);
          if (sight.is(r, side, t, tokenIn(layer, slot, pageSize), source)) continue;
          if (slot >= layer.length && sight.isRest(r, side, t, slot % pageSize, source)) rest++;
          else left++;
        }
        this.#work += count;
      }
      if (left > most) return { left: Infinity, rest };
    }
    return rest > REST * this.#before ? { left: left + rest, rest: 0 } : { left, rest };
  }
}

const SIDES = ["keys", "values"] as const;
