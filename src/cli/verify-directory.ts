/** `turboquant verify DIR`: every CASE.FORMAT.bin and CASE.FORMAT.f32 that a fork left beside emitted inputs. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import type { Verdict } from "../oracle/verdict.js";
import { type CaseOutput, type CasesVerdict, verifyCases } from "../oracle/verify-cases.js";
import { readBytes, readVectors } from "./streams.js";

const Manifest = z.object({
  formats: z.array(z.string()).min(1),
  cases: z.array(
    z.object({
      name: z.string(),
      file: z.string(),
      dim: z.int().positive(),
      exposes: z.array(z.string()),
    }),
  ),
});

/** Several formats give one verdict: the worst, and each format's own in `formats`. */
export interface DirectoryVerdict extends CasesVerdict {
  readonly formats?: readonly CasesVerdict[];
}

/** @throws FormatError when there is no manifest, or nothing of the fork. */
export async function verifyDirectory(dir: string): Promise<DirectoryVerdict> {
  const { formats, cases } = await readManifest(join(dir, "manifest.json"));
  const verdicts: CasesVerdict[] = [];
  for (const format of formats) {
    const outputs: CaseOutput[] = [];
    for (const { name, file, dim, exposes } of cases) {
      if (!findFormat(format).supports(dim)) continue;
      const stem = join(dir, `${name}.${format.replace("/", "-")}`);
      const { width } = findFormat(format).open({ dim });
      const packed = existsSync(`${stem}.bin`) ? await readBytes(`${stem}.bin`) : undefined;
      const decoded = existsSync(`${stem}.f32`) ? await readVectors(`${stem}.f32`, width) : undefined;
      if (!packed && !decoded) continue;
      outputs.push({
        case: name,
        dim,
        exposes,
        input: await readVectors(join(dir, file), dim),
        ...(packed ? { packed } : {}),
        ...(decoded ? { decoded } : {}),
      });
    }
    if (outputs.length > 0) verdicts.push(verifyCases({ format, side: "key", seed: 0 }, outputs));
  }
  const worst = (word: Verdict["verdict"]): CasesVerdict | undefined =>
    verdicts.find((v) => v.verdict === word);
  const verdict = worst("faulty") ?? worst("tolerated") ?? verdicts[0];
  if (verdict === undefined)
    throw new FormatError(
      "BAD_FILE",
      `${dir}: expected CASE.FORMAT.bin or CASE.FORMAT.f32 beside the inputs, found none`,
    );
  return verdicts.length > 1 ? { ...verdict, formats: verdicts } : verdict;
}

async function readManifest(path: string): Promise<z.infer<typeof Manifest>> {
  if (!existsSync(path))
    throw new FormatError("BAD_FILE", `${path}: expected the manifest that \`vectors emit\` writes`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(await readBytes(path)));
  } catch {
    throw new FormatError("BAD_FILE", `${path}: not JSON`);
  }
  const parsed = Manifest.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new FormatError("BAD_FILE", `${path}: ${issue.path.join(".") || "the file"}: ${issue.message}`);
}
