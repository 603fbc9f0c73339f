/** What a machine has for a model and its cache. Detection fills it in; planning only reads it. */
import { GIB } from "./kv-bytes.js";

/** A graphics card and its memory, bytes. */
export interface Gpu {
  readonly vendor: "nvidia";
  readonly name: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** A machine's memory, as far as planning needs it. */
export interface Hardware {
  readonly platform: string;
  /** Name of the chip or processor; null when unknown. */
  readonly chip: string | null;
  /** True for Apple silicon: processor and GPU share one memory. */
  readonly unified: boolean;
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly gpus: readonly Gpu[];
  /** Where total and available come from: "systeminformation", "/proc/meminfo", "sysctl + vm_stat", "os", "given". */
  readonly method: string;
  /** What was missing or unreadable, and what was used instead. */
  readonly notes: readonly string[];
}

/** Where model and cache are to lie, and how many bytes there are. */
export interface MemoryPool {
  readonly kind: "nvidia" | "apple" | "system" | "given";
  /** "NVIDIA VRAM", "Apple unified memory", "system memory". */
  readonly label: string;
  readonly totalBytes: number;
  /** What model, cache and headroom have to share. */
  readonly usableBytes: number;
  /** One sentence on how usable follows from total. */
  readonly rule: string;
}

/** Memory that macOS and its programs keep, least and most. Planning subtracts the most. */
export const MAC_RESERVE = { least: 4 * GIB, most: 5 * GIB } as const;

/** Usable memory of a Mac: total − 5 GB (careful) to total − 4 GB. */
export function macUsable(totalBytes: number): { careful: number; most: number } {
  return {
    careful: Math.max(0, totalBytes - MAC_RESERVE.most),
    most: Math.max(0, totalBytes - MAC_RESERVE.least),
  };
}

/** NVIDIA memory if there is any, then Apple unified memory, else system memory. */
export function memoryPool(hardware: Hardware, options: { forceCpu?: boolean } = {}): MemoryPool {
  if (!options.forceCpu && hardware.gpus.length > 0) {
    const totalBytes = hardware.gpus.reduce((sum, gpu) => sum + gpu.totalBytes, 0);
    const usableBytes = hardware.gpus.reduce((sum, gpu) => sum + gpu.freeBytes, 0);
    const cards = hardware.gpus.length === 1 ? hardware.gpus[0]!.name : `${hardware.gpus.length} cards`;
    return {
      kind: "nvidia",
      label: `NVIDIA VRAM (${cards})`,
      totalBytes,
      usableBytes,
      rule: "what nvidia-smi reports as free now",
    };
  }
  if (hardware.unified) {
    return {
      kind: "apple",
      label: "Apple unified memory",
      totalBytes: hardware.totalBytes,
      usableBytes: macUsable(hardware.totalBytes).careful,
      rule: "total − 5 GB for the system (4 to 5 GB is usual)",
    };
  }
  if (hardware.method === "given") {
    return {
      kind: "given",
      label: "given memory",
      totalBytes: hardware.totalBytes,
      usableBytes: hardware.totalBytes,
      rule: "as given",
    };
  }
  return {
    kind: "system",
    label: "system memory",
    totalBytes: hardware.totalBytes,
    usableBytes: hardware.availableBytes,
    rule: "what the system reports as available now",
  };
}

/** Hardware described by hand: --memory, --chip. A chip named "Apple …" has unified memory. */
export function givenHardware(totalBytes: number, chip: string | null = null): Hardware {
  return {
    platform: "given",
    chip,
    unified: chip !== null && /^apple\b/i.test(chip),
    totalBytes,
    availableBytes: totalBytes,
    gpus: [],
    method: "given",
    notes: [],
  };
}
