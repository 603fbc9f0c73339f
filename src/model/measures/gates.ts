/**
 * The gates of spec 5 §5.1: what a deployment asks of a cache before it trusts it. Each gives PASS, BORDERLINE or FAIL, and
 * says whether it kills: such a cache is not to be used whatever the other gates say.
 *
 *   perplexity   lost ≤ 0.5: PASS, ≤ 1.0: BORDERLINE, above: FAIL, kills
 *   attention    both cosines ≥ 0.995: PASS, ≥ 0.99: BORDERLINE
 *   needle       found wherever the baseline finds it: PASS
 *   session      divergence of turns 31 to 50 no larger than of turns 11 to 30: within 2 standard errors PASS, 3 BORDERLINE
 *   speed        tokens/s ≥ 90 % and time to the first token ≤ 110 % of the baseline's: PASS; tokens/s below 75 %: FAIL, kills
 *   memory       measured within 15 % of calculated: PASS
 *
 * The specification gives the limits of PASS and the kills; the edges of BORDERLINE that it leaves open are ours.
 */
import type { AttentionAccuracy } from "./attention-accuracy.js";
import type { SessionDrift } from "./long-session.js";
import type { MemoryMeasure } from "./memory.js";
import type { NeedleResult } from "./needle.js";
import type { SpeedMeasure } from "./speed.js";

/** What a gate says. */
export type Gate = "PASS" | "BORDERLINE" | "FAIL";

/** One gate's answer. */
export interface GateResult {
  readonly gate: "perplexity" | "attention" | "needle" | "session" | "speed" | "memory";
  /** What was measured, and what PASS asks of it, in words. */
  readonly measured: string;
  readonly asked: string;
  readonly verdict: Gate;
  /** Whether this alone rules the cache out. */
  readonly kills: boolean;
}

/** What was measured of one K/V pair; a gate whose measure is missing is not asked. */
export interface Measures {
  /** Perplexity lost against the baseline. */
  readonly deltaPpl: number;
  readonly attention?: AttentionAccuracy;
  readonly needle?: NeedleResult;
  readonly session?: SessionDrift;
  readonly speed?: SpeedMeasure;
  readonly memory?: MemoryMeasure;
}

const verdict = (passes: boolean, borderline: boolean): Gate =>
  passes ? "PASS" : borderline ? "BORDERLINE" : "FAIL";

/** The gate that a loss of perplexity passes. NaN fails, as it does every gate. */
export const gateOf = (deltaPpl: number): Gate => verdict(deltaPpl <= 0.5, deltaPpl <= 1);

function attentionGate({ weightCosine, outputCosine }: AttentionAccuracy): GateResult {
  const least = Math.min(weightCosine, outputCosine);
  return {
    gate: "attention",
    measured: `cosine of weights ${weightCosine.toFixed(5)}, of outputs ${outputCosine.toFixed(5)}`,
    asked: "both at least 0.995",
    verdict: verdict(least >= 0.995, least >= 0.99),
    kills: false,
  };
}

function needleGate({ baselineFound, kept, trials }: NeedleResult): GateResult {
  return {
    gate: "needle",
    measured:
      baselineFound === 0
        ? `the baseline finds none of ${trials.length}: nothing is shown`
        : `${kept} found of the ${baselineFound} that the baseline finds (${trials.length} hidden)`,
    asked: "all that the baseline finds",
    verdict: verdict(baselineFound > 0 && kept === baselineFound, baselineFound === 0),
    kills: false,
  };
}

function sessionGate({ growth, turns }: SessionDrift): GateResult {
  return {
    gate: "session",
    measured: `divergence grows by ${growth.mean.toPrecision(3)} ± ${growth.se.toPrecision(2)} over ${turns.length} turns`,
    asked: "no growth beyond 2 standard errors",
    verdict: verdict(growth.mean <= 2 * growth.se, growth.mean <= 3 * growth.se),
    kills: false,
  };
}

function speedGate({ rate, firstToken }: SpeedMeasure): GateResult {
  const share = (x: number): string => `${(100 * x).toFixed(0)} %`;
  return {
    gate: "speed",
    measured: `${share(rate)} of the baseline's tokens/s, first token after ${share(firstToken)} of its time`,
    asked: "at least 90 %, at most 110 %",
    verdict: verdict(rate >= 0.9 && firstToken <= 1.1, rate >= 0.75),
    kills: !(rate >= 0.75),
  };
}

function memoryGate({ measured, calculated }: MemoryMeasure): GateResult {
  const off = measured / calculated - 1;
  return {
    gate: "memory",
    measured: `${measured} bytes measured, ${calculated} calculated (${(100 * off).toFixed(2)} % off)`,
    asked: "within 15 %",
    verdict: verdict(Math.abs(measured - calculated) <= 0.15 * calculated, false),
    kills: false,
  };
}

/** Asks every gate that something was measured for. */
export function askGates(measures: Measures): GateResult[] {
  const { deltaPpl, attention, needle, session, speed, memory } = measures;
  return [
    {
      gate: "perplexity",
      measured: `${deltaPpl.toFixed(3)} lost`,
      asked: "at most 0.5 (1.0 kills)",
      verdict: gateOf(deltaPpl),
      kills: !(deltaPpl <= 1),
    },
    ...(attention ? [attentionGate(attention)] : []),
    ...(needle ? [needleGate(needle)] : []),
    ...(session ? [sessionGate(session)] : []),
    ...(speed ? [speedGate(speed)] : []),
    ...(memory ? [memoryGate(memory)] : []),
  ];
}

/** The worst of several verdicts. */
export const worstOf = (verdicts: readonly Gate[]): Gate =>
  (["FAIL", "BORDERLINE"] as const).find((worst) => verdicts.includes(worst)) ?? "PASS";
