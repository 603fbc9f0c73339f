import { readFileSync } from "node:fs";
import os from "node:os";
import { describe, expect, test } from "vitest";
import { detectHardware, type Probe, thisMachine } from "../../src/plan/detect.js";
import { memoryPool } from "../../src/plan/hardware.js";
import { parseMeminfo, parseNvidiaSmi, parseSysctl, parseVmStat } from "../../src/plan/hardware-output.js";
import { GIB, MIB } from "../../src/plan/kv-bytes.js";

const missing = (): Promise<never> =>
  Promise.reject(Object.assign(new Error("spawn ENOENT"), { code: "ENOENT" }));

/** A machine with nothing on it but the runtime's own figures. */
const bare: Probe = {
  platform: "linux",
  run: missing,
  readText: missing,
  memory: () => Promise.reject(new Error("no library")),
  chip: () => Promise.resolve(null),
  fallback: () => ({ totalBytes: 8 * GIB, availableBytes: 5 * GIB }),
  limit: () => null,
};

const SYSCTL = "hw.memsize: 38654705664\nmachdep.cpu.brand_string: Apple M3 Max\nhw.optional.arm64: 1\n";
const VM_STAT = `Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                                    10069.
Pages active:                                 432859.
Pages inactive:                               426177.
Pages speculative:                              5899.
Pages throttled:                                   0.
Pages wired down:                             171481.
Pages purgeable:                               11278.
"Translation faults":                     1935466161.
Pages copy-on-write:                        84466299.
File-backed pages:                            398262.
Anonymous pages:                              466673.
`;
const VM_AVAILABLE = (10_069 + 426_177 + 5_899) * 16_384;

/** A Mac that answers with these outputs; undefined = the tool is missing. */
const mac = (sysctl: string | undefined, vmStat: string | undefined): Probe => ({
  ...bare,
  platform: "darwin",
  run: (command) => {
    const text = { sysctl, vm_stat: vmStat }[command];
    return text === undefined ? missing() : Promise.resolve(text);
  },
  memory: () => Promise.resolve({ totalBytes: 36 * GIB, availableBytes: 9 * GIB }),
});

describe("this machine", () => {
  test.runIf(process.platform === "linux")("equals /proc/meminfo", async () => {
    const kb = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync("/proc/meminfo", "utf8"))![1]);
    // Available memory moves while others work: it must lie between two readings, give or take 1 %.
    const before = kb("MemAvailable") * 1024;
    const hardware = await detectHardware();
    const after = kb("MemAvailable") * 1024;
    expect(hardware.totalBytes).toBe(kb("MemTotal") * 1024);
    const slack = 0.01 * hardware.totalBytes;
    expect(hardware.availableBytes).toBeGreaterThan(Math.min(before, after) - slack);
    expect(hardware.availableBytes).toBeLessThan(Math.max(before, after) + slack);
    expect(hardware.method).toBe("systeminformation");
  });

  test("total and available are positive, and the method is named", async () => {
    const { totalBytes, availableBytes, method } = await detectHardware();
    expect(totalBytes).toBeGreaterThan(0);
    expect(availableBytes).toBeGreaterThan(0);
    expect(method).not.toBe("");
  });

  test("the runtime's own figures agree on the total", () => {
    expect(thisMachine.fallback().totalBytes).toBe(os.totalmem());
  });
});

describe("Linux", () => {
  const MEMINFO = "MemTotal:       32000000 kB\nMemFree:         1000000 kB\nMemAvailable:   24000000 kB\n";

  test("MemTotal 32,000,000 kB reads as more than 20 GB", async () => {
    const hardware = await detectHardware({ ...bare, readText: () => Promise.resolve(MEMINFO) });
    expect(hardware.method).toBe("/proc/meminfo");
    expect(hardware.totalBytes).toBe(32_000_000 * 1024);
    expect(hardware.totalBytes / GIB).toBeGreaterThan(20);
    expect(hardware.availableBytes).toBe(24_000_000 * 1024);
    expect(hardware.notes.join()).toContain("systeminformation failed (no library)");
  });

  test("kernels without MemAvailable: free and caches", () => {
    const text = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 300 kB\n";
    expect(parseMeminfo(text)).toEqual({ totalBytes: 1_024_000, availableBytes: 420 * 1024 });
  });

  test.each([
    "",
    "garbage",
    "MemTotal: many kB",
    "MemTotal: 0 kB\nMemAvailable: 0 kB",
    "MemTotal: 10 kB\nMemAvailable: 11 kB",
  ])("unreadable meminfo %j is refused, the runtime's figures are used and this is said", async (text) => {
    expect(parseMeminfo(text)).toBeNull();
    const hardware = await detectHardware({ ...bare, readText: () => Promise.resolve(text) });
    expect([hardware.method, hardware.totalBytes]).toEqual(["os", 8 * GIB]);
    expect(hardware.notes.join()).toContain("/proc/meminfo could not be read");
  });

  test("nothing there at all: the runtime's figures", async () => {
    const hardware = await detectHardware(bare);
    expect([hardware.method, hardware.totalBytes, hardware.availableBytes]).toEqual(["os", 8 * GIB, 5 * GIB]);
    expect(hardware.notes).toHaveLength(3);
  });

  test("implausible figures of the library are not used", async () => {
    const memory = () => Promise.resolve({ totalBytes: 0, availableBytes: Number.NaN });
    const hardware = await detectHardware({ ...bare, memory });
    expect(hardware.method).toBe("os");
    expect(hardware.notes[0]).toContain("no usable figures");
  });

  test("a container's limit is noted, the total stays the machine's", async () => {
    const hardware = await detectHardware({ ...bare, limit: () => 2 * GIB });
    expect(hardware.totalBytes).toBe(8 * GIB);
    expect(hardware.notes.join()).toContain("limits this process to 2.0 GB");
  });
});

describe("macOS", () => {
  test("hw.memsize 38654705664 is 36.0 GB; chip, unified memory, pages of 16,384 bytes", async () => {
    const hardware = await detectHardware(mac(SYSCTL, VM_STAT));
    expect((hardware.totalBytes / GIB).toFixed(1)).toBe("36.0");
    expect(hardware).toMatchObject({
      chip: "Apple M3 Max",
      unified: true,
      availableBytes: VM_AVAILABLE,
      method: "sysctl + vm_stat",
      notes: [],
    });
    expect(memoryPool(hardware)).toMatchObject({ kind: "apple", usableBytes: 31 * GIB });
  });

  test("the page size is the one that is stated, not an assumed one", () => {
    const intel = VM_STAT.replace("16384", "4096");
    expect(parseVmStat(intel)!.availableBytes * 4).toBe(VM_AVAILABLE);
    expect(parseVmStat(VM_STAT)!.pageSize).toBe(16_384);
  });

  test.each([
    "",
    "vm_stat: command not found",
    "Pages free: 12.",
    "(page size of 0 bytes)\nPages free: 1.",
    "(page size of 5000 bytes)\nPages free: 1.",
    "(page size of 4096 bytes)\n",
  ])("unreadable vm_stat %j: available from the runtime, and this is said", async (text) => {
    expect(parseVmStat(text)).toBeNull();
    const hardware = await detectHardware(mac(SYSCTL, text));
    expect([hardware.method, hardware.availableBytes]).toEqual(["sysctl + os", 5 * GIB]);
    expect(hardware.notes.join()).toContain("vm_stat printed nothing readable");
  });

  test("more available than total is not believed", async () => {
    const hardware = await detectHardware(mac(SYSCTL, VM_STAT.replace("10069", "99999999")));
    expect(hardware.method).toBe("sysctl + os");
  });

  test("tools missing: the library's figures, with notes", async () => {
    const without = await detectHardware(mac(undefined, undefined));
    expect([without.method, without.totalBytes]).toEqual(["systeminformation", 36 * GIB]);
    expect(without.notes.join()).toContain("sysctl is not available (not found)");
    const garbage = await detectHardware(mac("hw.memsize: lots\n", VM_STAT));
    expect(garbage.notes.join()).toContain("no readable hw.memsize");
    expect(garbage.totalBytes).toBe(36 * GIB);
    const noVm = await detectHardware(mac(SYSCTL, undefined));
    expect(noVm.notes.join()).toContain("vm_stat is not available (not found)");
    expect(noVm.totalBytes).toBe(36 * GIB);
  });

  test("an Intel Mac has no unified memory", async () => {
    const intel =
      "hw.memsize: 17179869184\nmachdep.cpu.brand_string: Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz\n";
    const hardware = await detectHardware(mac(intel, VM_STAT.replace("16384", "4096")));
    expect(hardware.unified).toBe(false);
    expect(memoryPool(hardware).kind).toBe("system");
  });

  test("sysctl in its other shapes", () => {
    expect(parseSysctl("38654705664\n")).toEqual({ totalBytes: 36 * GIB, chip: null, arm64: false });
    expect(parseSysctl("hw.memsize = 38654705664")).toMatchObject({ totalBytes: 36 * GIB });
    expect(parseSysctl("hw.memsize: -5")).toMatchObject({ totalBytes: null });
    expect(parseSysctl("")).toEqual({ totalBytes: null, chip: null, arm64: false });
  });
});

describe("NVIDIA", () => {
  const withSmi = (
    run: Probe["run"],
    platform = "linux",
  ): Promise<Awaited<ReturnType<typeof detectHardware>>> =>
    detectHardware({
      ...bare,
      platform,
      run,
      memory: () => Promise.resolve({ totalBytes: 64 * GIB, availableBytes: 48 * GIB }),
    });
  const answers = (text: string) =>
    withSmi((command) => (command === "nvidia-smi" ? Promise.resolve(text) : missing()));

  test("one card, free as well as total", async () => {
    const hardware = await answers("NVIDIA GeForce RTX 4090, 24564, 23012\n");
    expect(hardware.gpus).toEqual([
      {
        vendor: "nvidia",
        name: "NVIDIA GeForce RTX 4090",
        totalBytes: 24_564 * MIB,
        freeBytes: 23_012 * MIB,
      },
    ]);
    expect(memoryPool(hardware)).toMatchObject({ kind: "nvidia", usableBytes: 23_012 * MIB });
    expect(hardware.notes).toEqual([]);
  });

  test("several cards, with units and a header, Windows line ends", () => {
    const text =
      "name, memory.total [MiB], memory.free [MiB]\r\nTesla T4, 15360 MiB, 14900 MiB\r\nTesla T4, 15360 MiB, 100 MiB\r\n";
    const { gpus, unreadable } = parseNvidiaSmi(text);
    expect([gpus.length, unreadable, gpus[1]!.freeBytes]).toEqual([2, 0, 100 * MIB]);
  });

  test.each([
    "",
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
    "GPU, [N/A], [N/A]\n",
    "GPU, 100, 200\n",
    "\u0000\u0001\n",
  ])("unreadable output %j: no card, system memory, and this is said", async (text) => {
    const hardware = await answers(text);
    expect(hardware.gpus).toEqual([]);
    expect(memoryPool(hardware).kind).toBe("system");
    expect(hardware.notes.join()).toContain("nvidia-smi printed nothing readable");
  });

  test("a line that cannot be read is left out and counted", async () => {
    const hardware = await answers("NVIDIA A100, 40960, 40000\nGPU 1, [N/A], [N/A]\n");
    expect(hardware.gpus).toHaveLength(1);
    expect(hardware.notes.join()).toContain("1 line(s) could not be read");
  });

  test("missing: no news; failing or hanging: said", async () => {
    expect((await withSmi(missing)).notes).toEqual([]);
    const fails = () => Promise.reject(Object.assign(new Error("Command failed"), { code: 9 }));
    expect((await withSmi(fails)).notes.join()).toContain("nvidia-smi failed (exit code 9)");
    const hangs = () => Promise.reject(Object.assign(new Error("timed out"), { killed: true }));
    expect((await withSmi(hangs)).notes.join()).toContain("no answer in 5 s");
  });
});

test("a tool that hangs is really stopped", async () => {
  const start = performance.now();
  await expect(thisMachine.run("sleep", ["30"])).rejects.toMatchObject({ killed: true });
  expect(performance.now() - start).toBeLessThan(15_000);
});
