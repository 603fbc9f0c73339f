/** A job in a worker of its own. The next job of the same kind ends it, wherever it is. */
import type { Reply, Request } from "./protocol.js";

/** The worker's program, put here by the build: a worker made of it is bound by this page's policy. */
declare const WORKER_PROGRAM: string;

let address: string | undefined;

export class Job {
  readonly #answer: (reply: Reply) => void;
  #worker: Worker | undefined;

  constructor(answer: (reply: Reply) => void) {
    this.#answer = answer;
  }

  start(request: Request): void {
    this.stop();
    address ??= URL.createObjectURL(new Blob([WORKER_PROGRAM], { type: "text/javascript" }));
    const worker = new Worker(address);
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#answer(data);
    worker.onerror = ({ message }) => this.#answer({ type: "failed", message });
    worker.postMessage(request);
  }

  /** Asks the job that runs for more. */
  ask(request: Request): void {
    this.#worker?.postMessage(request);
  }

  stop(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
  }
}
