/** Sums of errors and energies over the vectors and queries of one head, or of several: f64. */

/** Figures of QUALITY_DEFINITIONS that are ratios of sums. */
export interface Errors {
  readonly keyDistortion: number;
  readonly valueDistortion: number;
  readonly logitError: number;
  readonly softmaxKl: number;
  readonly outputCosine: number;
}

export class Tally {
  keyError = 0;
  keyEnergy = 0;
  valueError = 0;
  valueEnergy = 0;
  logitError = 0;
  logitEnergy = 0;
  kl = 0;
  cosine = 0;
  queries = 0;

  add(other: Tally): void {
    this.keyError += other.keyError;
    this.keyEnergy += other.keyEnergy;
    this.valueError += other.valueError;
    this.valueEnergy += other.valueEnergy;
    this.logitError += other.logitError;
    this.logitEnergy += other.logitEnergy;
    this.kl += other.kl;
    this.cosine += other.cosine;
    this.queries += other.queries;
  }

  errors(): Errors {
    return {
      keyDistortion: this.keyError / this.keyEnergy,
      valueDistortion: this.valueError / this.valueEnergy,
      logitError: Math.sqrt(this.logitError / this.logitEnergy),
      softmaxKl: this.kl / this.queries,
      outputCosine: this.cosine / this.queries,
    };
  }
}
