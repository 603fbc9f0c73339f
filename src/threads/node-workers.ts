/** Threads as Node has them. */
export { Worker } from "node:worker_threads";
