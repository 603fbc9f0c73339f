/** The counters that the caches keep. Each is a plain value with serde's JSON. */
import { countersFromJson, countersToJson } from "./record.js";

const CACHE_COUNTERS = [
  "sequencesAllocated",
  "sequencesFreed",
  "pagesAllocated",
  "pagesFreed",
  "activeSequences",
  "usedPages",
  "cowOperations",
  "defragOperations",
  "pagesMoved",
] as const;

/** Counters of a paged cache. Forks count as sequences allocated. */
export class PagedCacheStats {
  sequencesAllocated = 0;
  sequencesFreed = 0;
  /** Pages handed out to sequences, copies included; `allocateBlocks` does not count here (QUIRK). */
  pagesAllocated = 0;
  pagesFreed = 0;
  activeSequences = 0;
  /** Pages out of the free list, shared ones once. */
  usedPages = 0;
  /** Forks and copies together (QUIRK). */
  cowOperations = 0;
  /** `defragment` calls that moved something. */
  defragOperations = 0;
  /** Pages moved by `defragment`; those moved by `compactSequence` do not count (QUIRK). */
  pagesMoved = 0;

  constructor(values: Partial<Counters<PagedCacheStats>> = {}) {
    Object.assign(this, values);
  }

  /** A deep copy. */
  clone(): PagedCacheStats {
    return new PagedCacheStats(this);
  }

  /** With serde's field names. */
  toJSON(): Record<string, number> {
    return countersToJson<PagedCacheStats>(this, CACHE_COUNTERS);
  }

  /** From what `toJSON` gives. */
  static fromJSON(json: unknown): PagedCacheStats {
    return countersFromJson(new PagedCacheStats(), json, CACHE_COUNTERS);
  }
}

const FRAGMENTATION_FIELDS = [
  "holes",
  "wastedCapacity",
  "fragmentationRatio",
  "largestFreeRegion",
  "avgTokensPerPage",
] as const;

/** How scattered the used pages are. Regions and holes are counted in page order. */
export class FragmentationStats {
  /** Runs of free pages that lie between used ones. */
  holes = 0;
  /** Tokens for which used pages have room but hold nothing; shared pages' tokens count per table (QUIRK). */
  wastedCapacity = 0;
  /** holes / used pages, at most 1; f32. */
  fragmentationRatio = 0;
  /** Longest run of free pages. */
  largestFreeRegion = 0;
  /** Tokens per table entry that has any; f32. */
  avgTokensPerPage = 0;

  constructor(values: Partial<Counters<FragmentationStats>> = {}) {
    Object.assign(this, values);
  }

  /** A deep copy. */
  clone(): FragmentationStats {
    return new FragmentationStats(this);
  }

  /** With serde's field names. */
  toJSON(): Record<string, number> {
    return countersToJson<FragmentationStats>(this, FRAGMENTATION_FIELDS);
  }

  /** From what `toJSON` gives. */
  static fromJSON(json: unknown): FragmentationStats {
    const f32 = ["fragmentationRatio", "avgTokensPerPage"] as const;
    return countersFromJson(new FragmentationStats(), json, FRAGMENTATION_FIELDS, f32);
  }
}

const PREFIX_COUNTERS = ["hits", "misses", "prefixesCached", "prefixesEvicted", "tokensSaved"] as const;

/** Counters of a prefix cache. */
export class PrefixCacheStats {
  hits = 0;
  misses = 0;
  /** Successful inserts, overwrites included. */
  prefixesCached = 0;
  prefixesEvicted = 0;
  /** Tokens of the inserted prefixes; a hit adds nothing (QUIRK). */
  tokensSaved = 0;

  constructor(values: Partial<Counters<PrefixCacheStats>> = {}) {
    Object.assign(this, values);
  }

  /** hits / lookups in 0 … 1; 0 before the first lookup. */
  hitRate(): number {
    const lookups = this.hits + this.misses;
    return lookups === 0 ? 0 : this.hits / lookups;
  }

  /** A deep copy. */
  clone(): PrefixCacheStats {
    return new PrefixCacheStats(this);
  }

  /** With serde's field names. */
  toJSON(): Record<string, number> {
    return countersToJson<PrefixCacheStats>(this, PREFIX_COUNTERS);
  }

  /** From what `toJSON` gives. */
  static fromJSON(json: unknown): PrefixCacheStats {
    return countersFromJson(new PrefixCacheStats(), json, PREFIX_COUNTERS);
  }
}

/** The number fields of T. */
type Counters<T> = { [K in keyof T as T[K] extends number ? K : never]: T[K] };
