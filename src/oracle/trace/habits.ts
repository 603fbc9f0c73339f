/** Which of a cache's habits matter to a fault, so that the others are not tried in every combination. */
import type { Habits, LifeFault } from "./model.js";

/** Habits that made no difference to a fault when they alone were other than usual: not tried along with others. */
export class IdleHabits {
  readonly #usual = new Map<LifeFault, Map<string, string>>();
  readonly #idle = new Map<LifeFault, Set<string>>();

  /** Of caches with the same tables that take pages alike. */
  #unusual({ tables, reuse, clears, backwards, copies }: Habits): readonly string[] {
    const out: string[] = [];
    if (clears !== "never") out.push(`${tables} ${reuse} cleared ${clears}`);
    if (backwards !== "never") out.push(`${tables} ${reuse} backwards ${backwards}`);
    if (copies !== "page") out.push(`${tables} ${reuse} copies ${copies}`);
    return out;
  }

  skips(fault: LifeFault, habits: Habits): boolean {
    const idle = this.#idle.get(fault);
    const unusual = this.#unusual(habits);
    return idle !== undefined && unusual.length > 1 && unusual.some((u) => idle.has(u));
  }

  /** mark: of what reads find; the usual habits come before the others. */
  learn(fault: LifeFault, habits: Habits, mark: string): void {
    const unusual = this.#unusual(habits);
    const kind = `${habits.tables} ${habits.reuse}`;
    const usual = this.#usual.get(fault) ?? new Map<string, string>();
    if (unusual.length === 0) this.#usual.set(fault, usual.set(kind, mark));
    if (unusual.length !== 1 || usual.get(kind) !== mark) return;
    this.#idle.set(fault, (this.#idle.get(fault) ?? new Set<string>()).add(unusual[0]!));
  }
}
