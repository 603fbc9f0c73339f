// What the worker and who submits agree on.
export const QUEUE = "turboquant-shares";

/** A worker that has not renewed its lock for this long is gone. */
export const LOCK_MS = Number(process.env.LOCK_MS ?? 30_000);

export const connection = (url = "redis://127.0.0.1:6379") => ({ url, maxRetriesPerRequest: null });
