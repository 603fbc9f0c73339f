/** Page tables that share their nodes, against arrays that are copied: entries, references, who shares, what is freed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { PageTable, RELEASED, type TableNode } from "../../src/cache/page-table.js";
import { Pages } from "../../src/cache/pages.js";
import { createReferenceKernels } from "../../src/kernels/reference.js";

const COUNT = 6000;

class World {
  readonly pages: Pages = new Pages(createReferenceKernels().arena, COUNT, 16);
  readonly tables: PageTable[] = [new PageTable(this.pages)];
  readonly model: number[][] = [[]];

  /** Everything that can be asked, against what the arrays say. */
  check(): void {
    const references = new Uint32Array(COUNT);
    for (const entries of this.model) for (const page of entries) if (page !== RELEASED) references[page]!++;
    const nodes = new Map<TableNode, number>();
    const listed = new Uint32Array(COUNT);
    const shared = new Set<number>();
    for (const [i, table] of this.tables.entries()) {
      const entries = this.model[i]!;
      expect(table.length).toBe(entries.length);
      expect(table.toArray()).toEqual(entries);
      expect(table.present).toBe(entries.filter((page) => page !== RELEASED).length);
      table.survey(nodes, (page, isShared) => {
        listed[page]!++;
        if (isShared) shared.add(page);
      });
      for (const [index, page] of entries.entries())
        if (page !== RELEASED && table.isShared(index) !== references[page]! > 1)
          throw new Error(`entry ${index} of table ${i}: shared ${table.isShared(index)}`);
    }
    for (const [node, count] of nodes) if (node.references !== count) throw new Error("node's references");
    let used = 0;
    for (let page = 0; page < COUNT; page++) {
      if (references[page]! > 0) used++;
      if (listed[page] !== this.pages.references[page])
        throw new Error(`references of page ${page}: ${this.pages.references[page]}, listed ${listed[page]}`);
      if (listed[page]! > 0 !== references[page]! > 0) throw new Error(`page ${page} in use`);
      if (shared.has(page) !== references[page]! > 1) throw new Error(`page ${page} shared`);
    }
    expect(this.pages.usedCount).toBe(used);
  }
}

type Step = (world: World) => void;
const index = fc.nat({ max: 7 });
const pick = (world: World, n: number): number => n % world.tables.length;
/** Lengths about the seams of leaves and levels. */
const many = fc.oneof(
  fc.integer({ min: 1, max: 40 }),
  fc.constantFrom(31, 32, 33, 64, 1023, 1024, 1025, 1100),
);
const part = fc.nat({ max: 1000 }).map((n) => n / 1000);

const push = fc.tuple(index, many).map(
  ([n, count]): Step =>
    (world) => {
      const i = pick(world, n);
      for (let k = 0; k < Math.min(count, world.pages.freeCount); k++) {
        const page = world.pages.take();
        world.tables[i]!.push(page);
        world.model[i]!.push(page);
      }
    },
);
const fork = index.map(
  (n): Step =>
    (world) => {
      if (world.tables.length === 8) return;
      const i = pick(world, n);
      world.tables.push(world.tables[i]!.fork());
      world.model.push([...world.model[i]!]);
    },
);
const truncate = fc.tuple(index, part).map(
  ([n, at]): Step =>
    (world) => {
      const i = pick(world, n);
      const length = Math.floor(at * world.model[i]!.length);
      world.tables[i]!.truncate(length);
      world.model[i]!.length = length;
    },
);
const release = fc.tuple(index, part, part).map(
  ([n, a, b]): Step =>
    (world) => {
      const i = pick(world, n);
      const entries = world.model[i]!;
      const [from, to] = [a, b].map((x) => Math.round(x * entries.length)).sort((x, y) => x - y) as [
        number,
        number,
      ];
      const there = entries.slice(from, to).filter((page) => page !== RELEASED).length;
      expect(world.tables[i]!.release(from, to)).toBe(there);
      entries.fill(RELEASED, from, to);
    },
);
const replace = fc.tuple(index, part).map(
  ([n, at]): Step =>
    (world) => {
      const i = pick(world, n);
      const entries = world.model[i]!;
      const k = Math.floor(at * entries.length);
      if (entries.length === 0 || entries[k] === RELEASED || world.pages.freeCount === 0) return;
      const page = world.pages.take();
      world.tables[i]!.replace(k, page);
      entries[k] = page;
    },
);
const end = index.map(
  (n): Step =>
    (world) => {
      const i = pick(world, n);
      world.tables[i]!.truncate(0);
      world.tables.splice(i, 1);
      world.model.splice(i, 1);
      if (world.tables.length === 0) {
        world.tables.push(new PageTable(world.pages));
        world.model.push([]);
      }
    },
);
const steps = fc.array(fc.oneof(push, push, fork, fork, truncate, release, replace, end), {
  maxLength: 30,
  size: "max",
});

const run = (seed: number): void =>
  fc.assert(
    fc.property(steps, (all) => {
      const world = new World();
      for (const step of all) {
        step(world);
        world.check();
      }
      for (const table of world.tables) table.truncate(0);
      expect(world.pages.freeCount).toBe(COUNT);
    }),
    { numRuns: 60, seed },
  );

test("shared tables are copied arrays", () => run(1));

test("pages are freed in the order that arrays would free them: last entry first", () => {
  const { pages, tables } = new World();
  const table = tables[0]!;
  for (let i = 0; i < 2000; i++) table.push(pages.take());
  const child = table.fork();
  table.truncate(0);
  child.truncate(0);
  expect(pages.freeList).toEqual(Uint32Array.from({ length: COUNT }, (_, i) => COUNT - 1 - i));
});

test("a fork and a change of one entry touch a path, not the table", () => {
  const { pages, tables } = new World();
  const table = tables[0]!;
  for (let i = 0; i < 5000; i++) table.push(pages.take());
  const before = new Map<TableNode, number>();
  table.survey(before, () => {});
  const child = table.fork();
  child.replace(4321, pages.take());
  const after = new Map(before);
  child.survey(after, () => {});
  expect(before.size).toBeGreaterThan(150);
  expect(after.size - before.size).toBe(3);
});
