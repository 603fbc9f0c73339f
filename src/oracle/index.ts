/**
 * turboquant-kv/oracle: is what a fork produced right, and if not, which fault is it and where. Runs in browsers too;
 * `verifyTrace` reads files and is for Node. Forks that run (libraries, processes) are in turboquant-kv/oracle/forks.
 * @module
 */
export { type AttentionOptions, verifyAttention } from "./attention.js";
export { CASES, type Case, type CaseAt, casesAt, HEAD_DIMS } from "./cases.js";
export { type Candidate, identify } from "./identify.js";
export {
  type Finding,
  judgeRecorded,
  type RecordedJudges,
  type RecordedVerdict,
} from "./recorded/recorded.js";
export { SEEDED_STATE, seededVectors } from "./seeded-cases.js";
export { verifyTrace } from "./trace.js";
export type { Check, Fault, FirstDifference, Verdict, VerdictWord } from "./verdict.js";
export { type VerifyOptions, verify } from "./verify.js";
export {
  type CaseCount,
  type CaseOutput,
  type CasesOptions,
  type CasesVerdict,
  type PartVerdict,
  verifyCases,
} from "./verify-cases.js";
