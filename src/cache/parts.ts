import type { Kernels } from "../kernels/kernels.js";
import type { Encoder } from "./encoder.js";
import type { PageLayout } from "./layout.js";
import type { CacheConfig } from "./options.js";
import type { PageTables } from "./page-tables.js";
import type { PrefixIndex } from "./prefix.js";

/** The parts of a cache, as the modules of this folder see them. */
export interface CacheParts {
  readonly config: CacheConfig;
  readonly layout: PageLayout;
  readonly tables: PageTables;
  readonly prefixes: PrefixIndex;
  readonly encoder: Encoder;
  readonly kernels: Kernels;
}
