/** Recounts a cache from nothing and compares: the invariants that any operation must keep. */

import { RELEASED, type TableNode } from "./page-table.js";
import type { CacheParts } from "./parts.js";
import type { RecentBlock } from "./recent.js";
import { mostFilled } from "./sequences.js";

/** @throws Error naming the first invariant that does not hold. */
export function auditCache({ config, vectors, tables, prefixes, kernels, sinks, recent }: CacheParts): void {
  const { pages, sequences, written } = tables;
  const { layers, kvHeads, pageTokens } = config;
  const holds = (condition: boolean, what: () => string): void => {
    if (!condition) throw new Error(`audit: ${what()}`);
  };

  const references = new Uint32Array(pages.count);
  const nodes = new Map<TableNode, number>();
  const blocks = new Map<RecentBlock, number>();
  let live = 0;
  for (const sequence of sequences) {
    live++;
    const { handle, table, reserved, fill } = sequence;
    const used = Math.ceil(mostFilled(sequence) / pageTokens);
    holds(table.length === used, () => `sequence ${handle} has ${table.length} pages for ${used} of tokens`);
    table.survey(nodes, (page) => references[page]!++);
    for (const page of reserved) {
      holds(
        page >= 0 && page < pages.count && pages.references[page] === 1,
        () => `sequence ${handle} shares reserved page ${page}`,
      );
      references[page]!++;
    }
    const { block, from } = sequence.recent;
    if (block) blocks.set(block, (blocks.get(block) ?? 0) + 1);
    fill.forEach((tokens, layer) => {
      const inHalves = tokens - from[layer]!;
      holds(
        inHalves >= 0 && inHalves <= recent.tokens && (inHalves === 0 || block !== undefined),
        () => `sequence ${handle}, layer ${layer}: last tokens in halves from ${from[layer]} of ${tokens}`,
      );
    });
    let present = 0;
    table.toArray().forEach((page, index) => {
      if (page === RELEASED) {
        holds(
          fill.every((n) => n >= (index + 1) * pageTokens),
          () => `sequence ${handle} released page ${index}, which is not full`,
        );
        return;
      }
      holds(page >= 0 && page < pages.count, () => `sequence ${handle} has page ${page} of ${pages.count}`);
      present++;
      holds(
        sinks.tokens === 0 || (index === 0) === sinks.has(page),
        () =>
          `sequence ${handle}, page ${index}: ${sinks.has(page) ? "halves of first tokens" : "no halves"}`,
      );
      for (let layer = 0; layer < layers; layer++) {
        const tokens = Math.min(pageTokens, Math.max(0, fill[layer]! - index * pageTokens));
        holds(
          written[page * layers + layer]! >= tokens,
          () =>
            `sequence ${handle}, page ${page}, layer ${layer}: ${tokens} tokens, ${written[page * layers + layer]} written`,
        );
      }
    });
    holds(
      present === table.present,
      () => `sequence ${handle} has ${table.present} pages, ${present} below its length`,
    );
  }
  for (const [node, count] of nodes)
    holds(
      node.references === count,
      () => `a node of page tables has ${node.references} references, counted ${count}`,
    );
  for (const [block, count] of blocks)
    holds(
      block.references === count,
      () => `halves of last tokens have ${block.references} references, counted ${count}`,
    );
  holds(blocks.size === recent.count, () => `${recent.count} blocks of last tokens, counted ${blocks.size}`);
  holds(live === sequences.count, () => `${sequences.count} sequences, counted ${live}`);
  for (const { page } of prefixes.entries()) references[page]!++;

  const free = pages.freeList;
  holds(new Set(free).size === free.length, () => "the free list has a page twice");
  for (const page of free) holds(references[page] === 0, () => `free page ${page} is in use`);
  references.forEach((count, page) => {
    holds(
      count === pages.references[page],
      () => `page ${page} has ${pages.references[page]} references, counted ${count}`,
    );
  });
  const used = references.reduce((n, count) => n + (count > 0 ? 1 : 0), 0);
  holds(
    used + free.length === pages.count,
    () => `${used} used and ${free.length} free of ${pages.count} pages`,
  );
  const { allocations, frees } = pages.counters;
  holds(
    allocations - frees === used,
    () => `${allocations} allocations − ${frees} frees, but ${used} pages are used`,
  );

  const { u8 } = kernels.arena;
  for (let page = 0; page < pages.count; page++) {
    if (references[page] === 0) continue;
    for (let layer = 0; layer < layers; layer++) {
      const from = written[page * layers + layer]!;
      for (const side of ["key", "value"] as const) {
        const { stride, headBytes } = vectors.layout.region(layer, side);
        for (let head = 0; head < kvHeads; head++) {
          const base = vectors.rows(pages.pointer(page), layer, side, head, 0, pageTokens);
          const tail = u8.subarray(base + from * stride, base + headBytes);
          holds(
            tail.every((byte) => byte === 0),
            () => `page ${page}, layer ${layer}, ${side}: bytes beyond token ${from} are not zero`,
          );
          if (!sinks.has(page)) continue;
          const halves = sinks.pointer(page, layer, side, head);
          const row = 2 * config.headDim;
          const rest = u8.subarray(halves + Math.min(from, sinks.tokens) * row, halves + sinks.tokens * row);
          const codes = u8.subarray(base, base + Math.min(from, sinks.tokens) * stride);
          holds(
            rest.every((byte) => byte === 0) && codes.every((byte) => byte === 0),
            () =>
              `page ${page}, layer ${layer}, ${side}: first tokens both in halves and in codes, or beyond token ${from}`,
          );
        }
      }
    }
  }
}
