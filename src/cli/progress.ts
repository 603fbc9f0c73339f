/** One line on standard error that says how far the work is: on a terminal only, and gone when it is done. */
export class Progress {
  readonly #live = process.stderr.isTTY === true;
  #last = 0;

  /** done of total; what is being done. */
  update(done: number, total: number, what: string): void {
    const now = performance.now();
    if (!this.#live || (now - this.#last < 80 && done < total)) return;
    this.#last = now;
    const width = 24;
    const full = Math.round((width * done) / total);
    const bar = "█".repeat(full) + "░".repeat(width - full);
    process.stderr.write(`\r\u001b[K${bar} ${Math.round((100 * done) / total)}%  ${what}`);
  }

  clear(): void {
    if (this.#live) process.stderr.write("\r\u001b[K");
  }
}
