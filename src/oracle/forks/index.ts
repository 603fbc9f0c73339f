/**
 * turboquant-kv/oracle/forks: forks that run, for the oracle to ask: a shared library through koffi (an optional peer), a
 * process over a small protocol (docs/oracle.md). For Node.
 * @module
 */
export { type ForkInput, verifyFork } from "../verify-fork.js";
export { type Fork, ForkError } from "./fork.js";
export { type LibraryOptions, openLibrary } from "./library.js";
export { openProcess, type ProcessOptions } from "./process.js";
