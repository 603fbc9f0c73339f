/** The main job: what each K/V pair costs and keeps on recorded attention, as data. */
import { loadWasm } from "../kernels/wasm.js";
import { type Agreement, measureAgreement } from "./agreement.js";
import type { Configuration } from "./configuration.js";
import { type Figures, measureFigures } from "./figures.js";
import { type Memory, memoryOf } from "./memory.js";
import { checkNativeVectors, type NativeCheck } from "./native.js";
import { measureQuality, prepareRecording, QUALITY_DEFINITIONS, type Quality } from "./quality.js";
import type { Recording } from "./recording.js";
import { measureSpeed, type Speed } from "./speed.js";

export interface ReportRow extends Memory, Quality, Speed {
  readonly name: string;
  readonly key: string;
  readonly value: string;
  readonly center: boolean;
}

export interface Report {
  readonly recording: {
    readonly path: string;
    readonly metadata: Readonly<Record<string, string>>;
    readonly dim: number;
    readonly heads: number;
    readonly kvHeads: number;
    readonly tokens: number;
    readonly queries: number;
    readonly recordedLayers: readonly number[];
  };
  /** Layers that the memory figures are for. */
  readonly layers: number;
  /** Seeds of the rotations that the bias is a mean over; other figures are of the first. */
  readonly seeds: readonly number[];
  readonly definitions: typeof QUALITY_DEFINITIONS;
  readonly rows: readonly ReportRow[];
  readonly agreement: Agreement;
  /** Recorded native bytes that ship with the package, replayed. */
  readonly native: NativeCheck;
  /** What a page draws besides; measured when asked for. */
  readonly figures?: Figures;
}

export interface ReportOptions {
  readonly recording: Recording;
  readonly configurations: readonly Configuration[];
  readonly layers: number;
  readonly seeds: readonly number[];
  /** Folder of recorded native vectors. */
  readonly nativeVectors: string;
  /** Measure what the page draws, too: some seconds more. */
  readonly figures?: boolean;
  /** Called as work gets done. */
  readonly progress?: (done: number, total: number, what: string) => void;
}

export async function makeReport(options: ReportOptions): Promise<Report> {
  const { recording, configurations, layers, seeds, progress = () => {} } = options;
  const { path, metadata, dim, heads, kvHeads, tokens, queries } = recording;
  const total = configurations.length * recording.layers.length * kvHeads;
  let done = 0;
  const kernels = await loadWasm();
  const speeds = measureSpeed(
    recording,
    configurations.map((c) => c.key),
    kernels,
  );
  const uncoded = prepareRecording(recording);
  const rows = configurations.map((configuration, i): ReportRow => {
    const step = (): void => progress(++done, total, configuration.name);
    const { name, key, value, center } = configuration;
    return {
      name,
      key,
      value,
      center,
      ...memoryOf(configuration, { layers, kvHeads, dim }),
      ...measureQuality(uncoded, configuration, seeds, step),
      ...speeds[i]!,
    };
  });
  return {
    recording: {
      path,
      metadata,
      dim,
      heads,
      kvHeads,
      tokens,
      queries,
      recordedLayers: recording.layers.map((l) => l.layer),
    },
    layers,
    seeds,
    definitions: QUALITY_DEFINITIONS,
    rows,
    agreement: measureAgreement(recording, configurations, kernels),
    native: await checkNativeVectors(options.nativeVectors),
    ...(options.figures ? { figures: measureFigures(recording, configurations, kernels, progress) } : {}),
  };
}
