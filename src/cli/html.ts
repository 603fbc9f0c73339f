/** `--html FILE`: the same answer as a page. What draws it is loaded only then, and before any long work starts. */
import { Option } from "commander";
import { writeAtomic } from "../files/write-atomic.js";
import { UsageError } from "./exit.js";

export interface HtmlFlag {
  readonly html?: string;
}

export const htmlOption = (): Option =>
  new Option("--html <file>", "also write a self-contained page with plots");

type Pages = typeof import("../report/html/pages.js");

const PACKAGES = ["@observablehq/plot", "linkedom"];

/**
 * What writes the page to `path`, whole or not at all; undefined without a path.
 * @throws UsageError where the packages that draw are not installed.
 */
export async function pageWriter(
  path: string | undefined,
): Promise<((make: (pages: Pages) => string) => Promise<void>) | undefined> {
  if (path === undefined) return undefined;
  const pages = await loadPages();
  return async (make) => {
    await writeAtomic(path, [new TextEncoder().encode(make(pages))]);
    process.stderr.write(`wrote ${path}\n`);
  };
}

async function loadPages(): Promise<Pages> {
  try {
    return await import("../report/html/pages.js");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    const missing = PACKAGES.filter((name) => String(error).includes(`'${name}'`));
    if (missing.length === 0) throw error;
    throw new UsageError(
      `--html draws with ${PACKAGES.join(" and ")}, which are not installed: npm install ${PACKAGES.join(" ")}`,
    );
  }
}
