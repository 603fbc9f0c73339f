/** Readers of what the operating system's tools print. Each returns null for text that it cannot trust. */
import type { Gpu } from "./hardware.js";
import { MIB } from "./kv-bytes.js";

/** Total and available memory, bytes. */
export interface MemoryReading {
  readonly totalBytes: number;
  readonly availableBytes: number;
}

/** /proc/meminfo: MemTotal and MemAvailable in kB; kernels before 3.14 have no MemAvailable (free + caches then). */
export function parseMeminfo(text: string): MemoryReading | null {
  const field = (name: string): number | null => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text.replace(/\r/g, ""));
    return match ? Number(match[1]) * 1024 : null;
  };
  const totalBytes = field("MemTotal");
  if (totalBytes === null || totalBytes === 0) return null;
  const free = field("MemFree");
  const available =
    field("MemAvailable") ?? (free === null ? null : free + (field("Buffers") ?? 0) + (field("Cached") ?? 0));
  if (available === null || available > totalBytes) return null;
  return { totalBytes, availableBytes: available };
}

/** `sysctl hw.memsize machdep.cpu.brand_string hw.optional.arm64` ("name: value" lines), whichever lines are there. */
export function parseSysctl(text: string): {
  totalBytes: number | null;
  chip: string | null;
  arm64: boolean;
} {
  const field = (name: string): string | null =>
    new RegExp(`^${name.replaceAll(".", "\\.")}\\s*[:=]\\s*(\\S.*?)\\s*$`, "m").exec(text)?.[1] ?? null;
  const size = field("hw.memsize") ?? /^\s*(\d{8,})\s*$/m.exec(text)?.[1] ?? null;
  const total = size !== null && /^\d+$/.test(size) ? Number(size) : 0;
  const chip = field("machdep.cpu.brand_string");
  return {
    totalBytes: Number.isSafeInteger(total) && total > 0 ? total : null,
    chip,
    arm64: field("hw.optional.arm64") === "1" || (chip !== null && /^apple\b/i.test(chip)),
  };
}

/**
 * `vm_stat`: pages that can be had without swapping (free, speculative, inactive), times the page size that
 * its first line states: 4,096 bytes on Intel, 16,384 on Apple silicon.
 */
export function parseVmStat(text: string): { availableBytes: number; pageSize: number } | null {
  const pageSize = Number(/page size of (\d+) bytes/.exec(text)?.[1] ?? 0);
  if (pageSize < 1024 || (pageSize & (pageSize - 1)) !== 0) return null;
  const pages = (name: string): number | null => {
    const match = new RegExp(`^Pages ${name}:\\s+(\\d+)\\.?\\s*$`, "m").exec(text);
    return match ? Number(match[1]) : null;
  };
  const free = pages("free");
  if (free === null) return null;
  const reclaimable = (pages("inactive") ?? 0) + (pages("speculative") ?? 0);
  return { availableBytes: (free + reclaimable) * pageSize, pageSize };
}

/** The query whose answer `parseNvidiaSmi` reads. */
export const NVIDIA_SMI_ARGUMENTS = [
  "--query-gpu=name,memory.total,memory.free",
  "--format=csv,noheader,nounits",
] as const;

/** One card a line: name, total MiB, free MiB (with or without the unit). Lines it cannot read are counted. */
export function parseNvidiaSmi(text: string): { gpus: Gpu[]; unreadable: number } {
  const gpus: Gpu[] = [];
  let unreadable = 0;
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "" || /^name\s*,/i.test(line)) continue;
    const match = /^\s*(\S.*?)\s*,\s*(\d+)(?: MiB)?\s*,\s*(\d+)(?: MiB)?\s*$/.exec(line);
    const total = Number(match?.[2] ?? 0) * MIB;
    const free = Number(match?.[3] ?? 0) * MIB;
    if (!match || total === 0 || free > total) unreadable++;
    else gpus.push({ vendor: "nvidia", name: match[1]!, totalBytes: total, freeBytes: free });
  }
  return { gpus, unreadable };
}
