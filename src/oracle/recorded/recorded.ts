/**
 * The judge of recorded vectors: files of native bytes, in JSON (base64) or msgpack (raw bytes), against this
 * library's formats. What can not be judged is an error, never a pass.
 */
import { isCodecType, judgeCodecFile } from "./codec-file.js";
import { DEFINITION_SCHEMA, judgeDefinitionFile } from "./definition-file.js";
import { judgeOnnxFile, ONNX_TYPE } from "./onnxruntime-file.js";
import { judgeRealizarFile, type RealizarJudges } from "./realizar-file.js";
import { badFile, RecordedFields } from "./record.js";
import { type RecordedVerdict, Tally } from "./tally.js";
import { judgeVllmFile, VLLM_TYPES } from "./vllm-file.js";
import { judgeWhtFile } from "./wht-file.js";

export type { Finding, RecordedVerdict } from "./tally.js";

/** Judges of parts that live above the formats; without them, files that have those parts are refused. */
export interface RecordedJudges extends RealizarJudges {
  /** Judges a parsed file of type "attention". */
  readonly attention?: ((file: unknown) => RecordedVerdict) | undefined;
}

/**
 * Judges one parsed file. `mismatches` counts cases with any difference; `first` names the case, the vector, the
 * field with its byte or value, what was recorded and what came out.
 * @throws FormatError BAD_FILE for a file that can not be judged: unknown type, missing or malformed fields, no cases.
 */
export function judgeRecorded(parsed: unknown, judges: RecordedJudges = {}): RecordedVerdict {
  const file = new RecordedFields(parsed, "the file");
  const tally = new Tally();
  const type = file.value("type");
  if (type === undefined && ["quant", "fnv", "traces"].some((part) => file.has(part)))
    judgeRealizarFile(file, judges, tally);
  else if (typeof type !== "string") throw badFile("the file does not say its type");
  else if (file.value("schema") === DEFINITION_SCHEMA) judgeDefinitionFile(file, tally);
  else if (isCodecType(type)) judgeCodecFile(file, type, tally);
  else if (type === "wht") judgeWhtFile(file, tally);
  else if (VLLM_TYPES.includes(type)) judgeVllmFile(file, type, tally);
  else if (type === ONNX_TYPE) judgeOnnxFile(file, tally);
  else if (type === "attention" && judges.attention) tally.add(judges.attention(parsed));
  else throw badFile(`nothing here judges files of type "${type}"`);
  return tally.verdict();
}
