/** What #worker-threads is outside Node (package.json, imports): no threads. */
export const Worker = undefined;
