/**
 * A fork as a process. The protocol on its standard input and output, all numbers u32 little-endian:
 *
 *   request   op (1 encode, 2 decode) · dim · vectors · n · n bytes
 *   answer    n · n bytes
 *
 * An encode request carries (vectors, dim) f32 and is answered with the packed bytes; a decode request carries packed
 * bytes and is answered with f32. An empty answer says that the fork does not offer the operation. Requests come one
 * at a time; at the end of its input the process exits with 0. Standard error is its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { type Fork, ForkError } from "./fork.js";

const ENCODE = 1;
const DECODE = 2;
const LINE_KEPT = 4096;
/** How long a process may take to exit after its input ended, before it is ended. */
const GRACE_MS = 2000;

/** How long an answer of a process may take. */
export interface ProcessOptions {
  /** How messages call it. */
  readonly name: string;
  /** Longest time for one answer, in milliseconds. */
  readonly timeoutMs: number;
}

/** command: a line for the shell, or a program and its arguments. */
export function openProcess(
  command: string | readonly [string, ...string[]],
  { name, timeoutMs }: ProcessOptions,
): Fork {
  const options = { stdio: "pipe", detached: process.platform !== "win32" } as const;
  const child =
    typeof command === "string"
      ? spawn(command, { ...options, shell: true })
      : spawn(command[0], command.slice(1), options);
  const talk = new Conversation(child, name, timeoutMs);
  return {
    async encode(x, dim) {
      const payload = new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
      const answer = await talk.ask("encode", ENCODE, dim, x.length / dim, payload);
      return answer.length === 0 ? undefined : answer;
    },
    async decode(packed, dim, vectors) {
      const answer = await talk.ask("decode", DECODE, dim, vectors, packed);
      if (answer.length % 4 !== 0)
        throw talk.fail(`answered "decode" with ${answer.length} bytes: expected f32 values`);
      return answer.length === 0 ? undefined : new Float32Array(new Uint8Array(answer).buffer);
    },
    close: () => talk.end(),
  };
}

class Conversation {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #timeoutMs: number;
  #parts: Buffer[] = [];
  #received = 0;
  #lastLine = "";
  #ended: string | undefined;
  #wake: () => void = () => {};

  constructor(child: ChildProcess, name: string, timeoutMs: number) {
    this.#child = child;
    this.#name = name;
    this.#timeoutMs = timeoutMs;
    child.stdout!.on("data", (part: Buffer) => {
      this.#parts.push(part);
      this.#received += part.length;
      this.#wake();
    });
    child.stderr!.on("data", (part: Buffer) => {
      this.#lastLine = (this.#lastLine + part.toString()).slice(-LINE_KEPT);
    });
    child.stdin!.on("error", () => {}); // it died: `close` says how
    child.on("error", (error) => this.#finish(`could not be started: ${error.message}`));
    child.on("close", (code, signal) =>
      this.#finish(signal ? `was ended by ${signal}` : `exited with code ${code}`),
    );
  }

  #finish(how: string): void {
    this.#ended ??= how;
    this.#wake();
  }

  async ask(
    what: string,
    op: number,
    dim: number,
    vectors: number,
    payload: Uint8Array,
  ): Promise<Uint8Array> {
    if (this.#received > 0) throw this.#tooMuch();
    const header = new Uint32Array([op, dim, vectors, payload.length]);
    const { stdin } = this.#child;
    const deadline = Date.now() + this.#timeoutMs;
    if (this.#ended === undefined) {
      stdin!.write(new Uint8Array(header.buffer));
      stdin!.write(payload);
    }
    await this.#until(4, what, deadline);
    const length = new Uint32Array(this.#take(4).buffer)[0]!;
    // No engine needs more than a few values per value; more is text, or another protocol.
    const most = 64 * (payload.length + 4 * dim * vectors) + 65536;
    if (length > most) {
      const text = Buffer.from(new Uint32Array([length]).buffer).toString("latin1");
      const hint = /^[\x20-\x7e\n]{4}$/.test(text)
        ? ` (it begins with the text ${JSON.stringify(text)})`
        : "";
      throw this.fail(
        `announced an answer of ${length} bytes to "${what}", at most ${most} are sensible${hint}: expected u32 length, then the bytes`,
      );
    }
    await this.#until(length, what, deadline);
    return this.#take(length);
  }

  /** @throws ForkError when there was more than was asked for, or the process reports a failure. */
  async end(): Promise<void> {
    this.#child.stdin!.end();
    const deadline = Date.now() + Math.min(GRACE_MS, this.#timeoutMs);
    while (this.#ended === undefined && Date.now() < deadline) await this.#change(deadline);
    const how = this.#ended;
    this.#kill();
    if (this.#received > 0) throw this.#tooMuch();
    if (how !== undefined && how !== "exited with code 0") throw this.fail(`${how} after its last answer`);
  }

  /** Ends the process; the error to throw. */
  fail(what: string): ForkError {
    this.#kill();
    const said = this.#lastLine.trim().split("\n").at(-1);
    return new ForkError(`${this.#name} ${what}${said ? `; it said: ${said.slice(0, 300)}` : ""}`);
  }

  #tooMuch(): ForkError {
    return this.fail(`answered too much: ${this.#received} bytes behind the end of its last answer`);
  }

  async #until(bytes: number, what: string, deadline: number): Promise<void> {
    while (this.#received < bytes) {
      const had = this.#received === 0 ? "" : ` (${this.#received} of ${bytes} bytes came)`;
      if (this.#ended !== undefined) throw this.fail(`${this.#ended} before it answered "${what}"${had}`);
      if (Date.now() >= deadline)
        throw this.fail(`did not answer "${what}" within ${this.#timeoutMs / 1000} s${had}`);
      await this.#change(deadline);
    }
  }

  /** Until something happens, or the deadline. */
  #change(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, deadline - Date.now()));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(bytes: number): Uint8Array {
    const all = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#parts = all.length > bytes ? [all.subarray(bytes)] : [];
    this.#received = all.length - bytes;
    return new Uint8Array(all.subarray(0, bytes)); // a Buffer's `slice` is a view
  }

  /** The process and what it started (the shell's children). */
  #kill(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    try {
      if (process.platform === "win32") this.#child.kill("SIGKILL");
      else process.kill(-pid, "SIGKILL");
    } catch {
      // it was faster
    }
    this.#child.stdout!.destroy();
    this.#child.stderr!.destroy();
  }
}
