/** `turboquant verify DIR`: every CASE.FORMAT.bin and CASE.FORMAT.f32 that a fork left beside emitted inputs. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import type { Verdict } from "../oracle/verdict.js";
import { verify } from "../oracle/verify.js";
import { readBytes, readVectors } from "./streams.js";

export interface CaseVerdict extends Verdict {
  readonly case: string;
}

/** @throws FormatError when there is no manifest, or nothing of the fork. */
export async function verifyDirectory(dir: string): Promise<CaseVerdict[]> {
  const path = join(dir, "manifest.json");
  if (!existsSync(path))
    throw new FormatError("BAD_FILE", `${path}: expected the manifest that \`vectors emit\` writes`);
  let manifest: { dim: number; formats: string[]; cases: { name: string; file: string }[] };
  try {
    manifest = JSON.parse(new TextDecoder().decode(await readBytes(path)));
  } catch {
    throw new FormatError("BAD_FILE", `${path}: not JSON`);
  }
  const { dim, formats, cases } = manifest;
  if (!Number.isInteger(dim) || !Array.isArray(formats) || !Array.isArray(cases))
    throw new FormatError("BAD_FILE", `${path}: expected dim, formats and cases`);
  const out: CaseVerdict[] = [];
  for (const format of formats) {
    const { width } = findFormat(format).open({ dim });
    for (const { name, file } of cases) {
      const stem = join(dir, `${name}.${format.replace("/", "-")}`);
      const bin = existsSync(`${stem}.bin`) ? await readBytes(`${stem}.bin`) : undefined;
      const decoded = existsSync(`${stem}.f32`) ? await readVectors(`${stem}.f32`, width) : undefined;
      if (!bin && !decoded) continue;
      const input = await readVectors(join(dir, file), dim);
      out.push({
        case: name,
        ...verify({ format, dim, input, ...(bin ? { packed: bin } : {}), ...(decoded ? { decoded } : {}) }),
      });
    }
  }
  if (out.length === 0)
    throw new FormatError(
      "BAD_FILE",
      `${dir}: expected CASE.FORMAT.bin or CASE.FORMAT.f32 beside the inputs, found none`,
    );
  return out;
}
