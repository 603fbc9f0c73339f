/**
 * Choices by name, measured on a real model (docs/models.md): trellis codes on both sides, keys less the mean that turns with
 * their position and norm-matching, values unbiased, the first four tokens in halves. The means are the model's own
 * (`turboquant centre`, or its first keys), so they are not part of a preset.
 */
export interface KvPreset {
  readonly key: string;
  readonly value: string;
  readonly sinks: number;
  /** Whether the keys are to be centred. */
  readonly centre: boolean;
}

const best = (format: string): KvPreset => ({ key: format, value: format, sinks: 4, centre: true });

/** The least divergence at about 4, 3 and 2 bits per value. */
export const KV_PRESETS: Readonly<Record<"best4" | "best3" | "best2", KvPreset>> = {
  best4: best("trellis4x"),
  best3: best("trellis3x"),
  best2: best("trellis2x"),
};
