/** Counting cases and mismatching cases, and saying where the first difference is. */
import { badFile } from "./record.js";

/** The judgement of a file: `mismatches` counts cases with any difference; `first` describes the first one. */
export interface RecordedVerdict {
  readonly cases: number;
  readonly mismatches: number;
  readonly first?: string;
  /** Faults of what was recorded, though it is reproduced: ids of the catalogue, and what they cost. */
  readonly findings?: readonly Finding[];
}

/** A fault that a recording shows. */
export interface Finding {
  readonly id: string;
  readonly evidence: string;
}

export class Tally {
  #cases = 0;
  #mismatches = 0;
  #first: string | undefined;
  readonly #findings: Finding[] = [];
  #current = "";
  #differs = false;

  /** Runs one case; every difference reported inside belongs to it. */
  case(name: string, check: () => void): void {
    this.#current = name;
    this.#differs = false;
    this.#cases++;
    check();
    if (this.#differs) this.#mismatches++;
  }

  differ(where: string, expected: unknown, actual: unknown): void {
    this.#differs = true;
    this.#first ??= `case ${this.#current}, ${where}: expected ${expected}, got ${actual}`;
  }

  /** Not a mismatch: what is recorded is reproduced, and is wrong by itself. */
  find(id: string, evidence: string): void {
    if (!this.#findings.some((f) => f.id === id && f.evidence === evidence))
      this.#findings.push({ id, evidence });
  }

  /** expected, actual: (n, stride), byte for byte. */
  bytes(field: string, expected: Uint8Array, actual: Uint8Array, stride: number): void {
    sameLength(field, expected, actual);
    const i = expected.findIndex((byte, k) => byte !== actual[k]);
    if (i >= 0)
      this.differ(`vector ${Math.floor(i / stride)}, ${field} byte ${i % stride}`, expected[i], actual[i]);
  }

  /** expected, actual: (n, stride), bit for bit; NaN equals NaN. */
  floats(field: string, expected: Float32Array, actual: Float32Array, stride: number): void {
    sameLength(field, expected, actual);
    const i = expected.findIndex((value, k) => !Object.is(value, actual[k]));
    if (i >= 0)
      this.differ(
        `vector ${Math.floor(i / stride)}, ${field} value ${i % stride}`,
        show(expected[i]!),
        show(actual[i]!),
      );
  }

  /** Adds what another judge found. */
  add(other: RecordedVerdict): void {
    this.#cases += other.cases;
    this.#mismatches += other.mismatches;
    this.#first ??= other.first;
    for (const { id, evidence } of other.findings ?? []) this.find(id, evidence);
  }

  /** @throws FormatError BAD_FILE when there was no case: nothing judged is not a pass. */
  verdict(): RecordedVerdict {
    if (this.#cases === 0) throw badFile("the file has no cases");
    const counts = {
      cases: this.#cases,
      mismatches: this.#mismatches,
      ...(this.#findings.length > 0 ? { findings: this.#findings } : {}),
    };
    return this.#first === undefined ? counts : { ...counts, first: this.#first };
  }
}

const show = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));

function sameLength(field: string, expected: ArrayLike<number>, actual: ArrayLike<number>): void {
  if (expected.length !== actual.length)
    throw badFile(`"${field}" has ${expected.length} elements where ${actual.length} belong`);
}
