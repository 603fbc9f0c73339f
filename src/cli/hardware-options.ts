/** Options that say which memory to plan for, shared by the planning commands. */
import type { Command } from "commander";
import { detectHardware } from "../plan/detect.js";
import { givenHardware, type Hardware } from "../plan/hardware.js";
import { gigabytes } from "./amounts.js";

export interface HardwareOptions {
  readonly memory?: number;
  readonly chip?: string;
}

export const withHardwareOptions = (command: Command): Command =>
  command
    .option("--memory <gb>", "plan for this much memory instead of what is found", gigabytes)
    .option("--chip <name>", 'chip of the machine; "Apple …" has unified memory, of which 5 GB are kept');

/** A given amount of memory, or what is found here. A chip alone is put to what is found. */
export async function hardwareFrom({ memory, chip }: HardwareOptions): Promise<Hardware> {
  if (memory !== undefined) return givenHardware(memory, chip ?? null);
  const found = await detectHardware();
  return chip === undefined ? found : { ...found, chip, unified: /^apple\b/i.test(chip) };
}
