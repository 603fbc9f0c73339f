/** A share as JSON, for a job scheduler to carry from one machine to another. Floats stay bytes, in base64. */
import { z } from "zod";
import { FormatError } from "../../core/format-error.js";
import { findFormat } from "../../formats/registry.js";
import type { DumpShard } from "./shard.js";
import { SEVERITIES, WINDOW } from "./tally.js";

const KIND = "turboquant-shard";
const VERSION = 1;

const count = z.int().nonnegative();
const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, "base64")));
const TallySchema = z.object({
  vectors: count,
  wrong: count,
  normUlps: count,
  boundaryFlips: count,
  kept: z.array(z.object({ window: count, severity: z.enum(SEVERITIES), input: bytes, output: bytes })),
});
const ShardSchema = z.object({
  kind: z.literal(KIND),
  version: z.literal(VERSION),
  format: z.string(),
  dim: z.int().positive(),
  side: z.enum(["key", "value"]),
  seed: z.string().regex(/^\d+$/).transform(BigInt),
  vectors: z.int().positive(),
  ranges: z.array(z.tuple([count, count])),
  packed: TallySchema.optional(),
  decoded: TallySchema.optional(),
});

/** A line of JSON that `parseShard` reads back, on this machine or another. */
export function shardToJson(shard: DumpShard): string {
  const { seed, ...rest } = shard;
  const file = { kind: KIND, version: VERSION, seed: String(seed), ...rest };
  return JSON.stringify(file, (_, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value,
  );
}

/** name: what messages call it. @throws FormatError BAD_FILE for anything that shardToJson did not write. */
export function parseShard(text: string, name: string): DumpShard {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new FormatError("BAD_FILE", `${name}: not JSON: expected what \`verify --shard\` writes`);
  }
  const parsed = ShardSchema.safeParse(json);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw new FormatError("BAD_FILE", `${name}: ${path.join(".") || "the file"}: ${message}`);
  }
  const { kind: _, version: __, packed, decoded, ...head } = parsed.data;
  const shard = { ...head, ...(packed ? { packed } : {}), ...(decoded ? { decoded } : {}) };
  assertWindows(shard, name);
  return shard;
}

/** Kept windows have the size that they say, so that a verdict can be made of them. */
function assertWindows(shard: DumpShard, name: string): void {
  const { format, dim, side, vectors, ranges } = shard;
  const { bytesPerVector, width } = findFormat(format).open({ dim, side });
  for (const [part, per] of [
    ["packed", bytesPerVector],
    ["decoded", 4 * width],
  ] as const)
    for (const { window, input, output } of shard[part]?.kept ?? []) {
      const n = Math.min(WINDOW, vectors - window * WINDOW);
      const inside = ranges.some(([from, to]) => window >= from && window < to);
      if (!inside || input.length !== 4 * n * dim || output.length !== n * per)
        throw new FormatError("BAD_FILE", `${name}: window ${window} of ${part} is damaged`);
    }
}
