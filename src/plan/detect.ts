/**
 * Looks at this machine. The general figures come from `systeminformation`; nvidia-smi, sysctl and vm_stat add
 * what it does not give. A tool that is missing, hangs or prints nonsense never stops detection: the next
 * source is used and a note says so.
 */
import { nodeModule } from "../files/node.js";
import type { Gpu, Hardware } from "./hardware.js";
import {
  type MemoryReading,
  NVIDIA_SMI_ARGUMENTS,
  parseMeminfo,
  parseNvidiaSmi,
  parseSysctl,
  parseVmStat,
} from "./hardware-output.js";

/** Where detection looks; tests put recorded outputs in its place. */
export interface Probe {
  readonly platform: string;
  /** Standard output of a tool. Rejects when it is missing, fails or takes too long. */
  run(command: string, args: readonly string[]): Promise<string>;
  /** A text file's content. Rejects when it cannot be read. */
  readText(path: string): Promise<string>;
  /** The library's figures. */
  memory(): Promise<MemoryReading>;
  /** The processor's name; null when it has none. */
  chip(): Promise<string | null>;
  /** The runtime's own figures: always there. */
  fallback(): MemoryReading;
  /** Bytes that a container allows this process; null without a limit. */
  limit(): number | null;
}

const TOOL_TIMEOUT_MS = 5_000;
const os = () => nodeModule("node:os", "detectHardware");

/** The machine that this runs on. */
export const thisMachine: Probe = {
  get platform() {
    return os().platform();
  },
  run: async (command, args) => {
    const { promisify } = nodeModule("node:util", "detectHardware");
    const { execFile } = nodeModule("node:child_process", "detectHardware");
    const { stdout } = await promisify(execFile)(command, [...args], {
      timeout: TOOL_TIMEOUT_MS,
      killSignal: "SIGKILL",
      maxBuffer: 1 << 20,
      env: { ...process.env, LC_ALL: "C" },
    });
    return stdout;
  },
  readText: (path) => nodeModule("node:fs/promises", "detectHardware").readFile(path, "utf8"),
  memory: async () => {
    const { default: si } = await import("#systeminformation");
    const { total, available } = await si.mem();
    return { totalBytes: total, availableBytes: available };
  },
  chip: async () => {
    const { default: si } = await import("#systeminformation");
    const { manufacturer, brand } = await si.cpu();
    return [manufacturer, brand].filter(Boolean).join(" ") || null;
  },
  fallback: () => ({ totalBytes: os().totalmem(), availableBytes: os().freemem() }),
  limit: () => {
    const bytes = process.constrainedMemory();
    return bytes > 0 && bytes < os().totalmem() ? bytes : null;
  },
};

const plausible = (memory: MemoryReading): boolean =>
  Number.isSafeInteger(memory.totalBytes) &&
  memory.totalBytes > 0 &&
  memory.availableBytes > 0 &&
  memory.availableBytes <= memory.totalBytes;

/** Never rejects: the runtime's own figures are the last resort. */
export async function detectHardware(probe: Probe = thisMachine): Promise<Hardware> {
  const notes: string[] = [];
  const base = probe.platform === "darwin" ? await macMemory(probe, notes) : await plainMemory(probe, notes);
  const gpus = await nvidiaCards(probe, notes);
  const limit = probe.limit();
  if (limit !== null && limit < base.totalBytes)
    notes.push(
      `a container limits this process to ${(limit / 2 ** 30).toFixed(1)} GB: give --memory to plan for that`,
    );
  return { platform: probe.platform, ...base, gpus, notes };
}

type Base = Pick<Hardware, "chip" | "unified" | "totalBytes" | "availableBytes" | "method">;

async function plainMemory(probe: Probe, notes: string[]): Promise<Base> {
  const chip = await probe.chip().catch(() => null);
  const base = { chip, unified: false };
  try {
    const memory = await probe.memory();
    if (plausible(memory)) return { ...base, ...memory, method: "systeminformation" };
    notes.push("systeminformation gave no usable figures");
  } catch (error) {
    notes.push(`systeminformation failed (${reason(error)})`);
  }
  if (probe.platform === "linux") {
    try {
      const memory = parseMeminfo(await probe.readText("/proc/meminfo"));
      if (memory !== null && plausible(memory)) return { ...base, ...memory, method: "/proc/meminfo" };
      notes.push("/proc/meminfo could not be read as such");
    } catch (error) {
      notes.push(`/proc/meminfo could not be opened (${reason(error)})`);
    }
  }
  notes.push("memory is what the runtime reports (os.totalmem, os.freemem)");
  return { ...base, ...probe.fallback(), method: "os" };
}

async function macMemory(probe: Probe, notes: string[]): Promise<Base> {
  let sysctl = parseSysctl("");
  try {
    // -i: names that this machine does not have are left out instead of failing the call.
    sysctl = parseSysctl(
      await probe.run("sysctl", ["-i", "hw.memsize", "machdep.cpu.brand_string", "hw.optional.arm64"]),
    );
    if (sysctl.totalBytes === null) notes.push("sysctl printed no readable hw.memsize");
  } catch (error) {
    notes.push(`sysctl is not available (${reason(error)})`);
  }
  const chip = sysctl.chip ?? (await probe.chip().catch(() => null));
  const unified = sysctl.arm64 || (chip !== null && /^apple\b/i.test(chip));
  if (sysctl.totalBytes === null) return { ...(await plainMemory(probe, notes)), chip, unified };
  try {
    const vm = parseVmStat(await probe.run("vm_stat", []));
    if (vm !== null && vm.availableBytes > 0 && vm.availableBytes <= sysctl.totalBytes) {
      const { availableBytes } = vm;
      return { chip, unified, totalBytes: sysctl.totalBytes, availableBytes, method: "sysctl + vm_stat" };
    }
    notes.push("vm_stat printed nothing readable");
  } catch (error) {
    notes.push(`vm_stat is not available (${reason(error)})`);
  }
  const availableBytes = Math.min(probe.fallback().availableBytes, sysctl.totalBytes);
  notes.push("available memory is what the runtime reports (os.freemem)");
  return { chip, unified, totalBytes: sysctl.totalBytes, availableBytes, method: "sysctl + os" };
}

async function nvidiaCards(probe: Probe, notes: string[]): Promise<Gpu[]> {
  let text: string;
  try {
    text = await probe.run("nvidia-smi", NVIDIA_SMI_ARGUMENTS);
  } catch (error) {
    // No tool means no card, which is no news; a tool that fails is.
    if (probe.platform !== "darwin" && (error as NodeJS.ErrnoException).code !== "ENOENT")
      notes.push(`nvidia-smi failed (${reason(error)}): no NVIDIA memory is planned with`);
    return [];
  }
  const { gpus, unreadable } = parseNvidiaSmi(text);
  if (unreadable > 0 || gpus.length === 0)
    notes.push(
      gpus.length === 0
        ? "nvidia-smi printed nothing readable: no NVIDIA memory is planned with"
        : `nvidia-smi: ${unreadable} line(s) could not be read and are left out`,
    );
  return gpus;
}

function reason(error: unknown): string {
  const { code, killed, message } = error as { code?: string | number; killed?: boolean; message?: string };
  if (killed) return `no answer in ${TOOL_TIMEOUT_MS / 1000} s`;
  if (code === "ENOENT") return "not found";
  return typeof code === "number" ? `exit code ${code}` : (code ?? String(message ?? error).split("\n")[0]!);
}
