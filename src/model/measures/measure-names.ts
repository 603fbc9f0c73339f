/** What can be measured of a K/V pair besides perplexity, by name. A file that loads nothing, for the command line. */
export const MEASURES = ["attention", "needle", "session", "memory", "speed", "prompts"] as const;
/** What can be measured besides perplexity. */
export type Measure = (typeof MEASURES)[number];
