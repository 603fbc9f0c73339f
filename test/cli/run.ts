import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The built command line. */
export const COMMAND = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Ran {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs the built command line, as a user does. */
export function turboquant(args: readonly string[], input?: Uint8Array): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
    ...(input ? { input } : {}),
    maxBuffer: 1 << 28,
  });
  return { status, stdout, stderr: stderr.toString() };
}
