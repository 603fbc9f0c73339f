/** How a read makes tokens of what it finds in the pages, and how that goes wrong. */
import type { LayerPages, Side, State, TraceShape } from "./model.js";

/** A side's array, and what was done to it; "turned": by a rotation that is not known, so only lengths tell. */
export interface Source {
  readonly side: Side;
  readonly form: "plain" | "zero" | "rotated" | "turned";
}

type Sources = Readonly<Record<Side, Source>>;

/** One thing that reads do to keys and values. */
export type SideFault =
  | "key-zero"
  | "swapped"
  | "values-as-keys"
  | "keys-as-values"
  | "values-rotated"
  | "values-turned";

/** What goes wrong in reads; several are done one after another. */
export interface ReadFault {
  readonly id: string;
  readonly note: string;
  readonly layerShift?: number;
  /** Beyond the last layer: the nearest, or nothing; default: round about. */
  readonly layerEnd?: "nearest" | "nothing";
  readonly tableShift?: number;
  /** Beyond the table: the nearest page, or nothing; default: round about. */
  readonly tableEnd?: "nearest" | "nothing";
  /** Pages from this one on are shifted. */
  readonly pageShiftFrom?: number;
  /** Shift of positions within the page. */
  readonly slotShift?: number;
  /** The page, not the slot, is that of a position so much later. */
  readonly edgeShift?: number;
  /** Shifts of layers and pages concern this side alone. */
  readonly only?: Side;
  /** The window begins so many tokens from where it should, and may end where it should. */
  readonly windowShift?: number;
  readonly windowEnd?: "kept";
  /** The window begins with a whole page: the next one, or the one before. */
  readonly windowPage?: "next" | "before";
  readonly noSinks?: "slide" | "zero" | "gone" | "shifted" | "first" | "last";
  readonly sides?: readonly SideFault[];
}

const PLAIN: Sources = { keys: { side: "keys", form: "plain" }, values: { side: "values", form: "plain" } };

/** Where each side of a read comes from. */
export function sourcesOf(fault: ReadFault): Sources {
  let from = PLAIN;
  for (const what of fault.sides ?? []) from = afterSide(from, what);
  return from;
}

function afterSide({ keys, values }: Sources, what: SideFault): Sources {
  const turned = (form: "rotated" | "turned"): Source =>
    values.form === "zero" ? values : { ...values, form };
  if (what === "key-zero") return { keys: { ...keys, form: "zero" }, values };
  if (what === "swapped") return { keys: values, values: keys };
  if (what === "values-as-keys") return { keys: values, values };
  if (what === "keys-as-values") return { keys, values: keys };
  return { keys, values: turned(what === "values-rotated" ? "rotated" : "turned") };
}

/** Faults of reads at once, in this order. */
export function mergedReads(faults: readonly ReadFault[]): ReadFault {
  const sides = faults.flatMap((f) => f.sides ?? []);
  return Object.assign({}, ...faults, { id: "", note: "", sides }) as ReadFault;
}

/** Which positions a read gives, written into `out`; −1: zeros. */
export function positionsOf(
  { window, pageSize }: TraceShape,
  fault: ReadFault,
  state: State,
  out: number[] = [],
): number[] {
  out.length = 0;
  const range = (from: number, to: number): number[] => {
    for (let i = from; i < to; i++) out.push(i);
    return out;
  };
  if (!window) return range(0, state.count);
  const total = state.own;
  const { size, sinks } = window;
  if (total <= size + sinks) return range(0, total);
  let start = total - size;
  if (fault.windowPage === "next") start = Math.ceil(start / pageSize) * pageSize;
  if (fault.windowPage === "before") start = Math.floor(start / pageSize) * pageSize;
  start += fault.windowShift ?? 0;
  if (fault.noSinks !== "gone")
    for (let i = 0; i < sinks; i++) {
      const zero = (fault.noSinks === "first" && i === 0) || (fault.noSinks === "last" && i === sinks - 1);
      if (fault.noSinks === "zero" || zero) out.push(-1);
      else if (fault.noSinks === "slide") out.push(start - sinks + i);
      else out.push(fault.noSinks === "shifted" ? i + 1 : i);
    }
  return range(start, fault.windowEnd === "kept" ? total : start + size);
}

/** The pages of a layer that a read takes one side from. */
export function layerOf(fault: ReadFault, state: State, layer: number, side: Side): LayerPages {
  const count = state.layers.length;
  const shift = fault.only === undefined || fault.only === side ? (fault.layerShift ?? 0) : 0;
  let from = layer + shift;
  if (from < 0 || from >= count) {
    if (fault.layerEnd === "nothing") return NOTHING;
    from = fault.layerEnd === "nearest" ? layer : (from + count) % count;
  }
  return state.layers[from] ?? NOTHING;
}

const NOTHING: LayerPages = { pages: [], offset: 0, length: 0 };

/** The slot that a position is read from, counted in the layer's pages one after another; negative: zeros. */
export function slotOf(
  fault: ReadFault,
  pages: number,
  position: number,
  pageSize: number,
  side: Side,
): number {
  if (position < 0) return -1;
  const slot = position + (fault.slotShift ?? 0);
  if (slot < 0) return -1;
  let index = Math.floor((slot + (fault.edgeShift ?? 0)) / pageSize);
  if (fault.tableShift !== undefined && (fault.only === undefined || fault.only === side)) {
    if (index >= (fault.pageShiftFrom ?? 0)) index += fault.tableShift;
    if (index < 0 || index >= pages) {
      if (fault.tableEnd === "nothing" || pages === 0) return -1;
      index =
        fault.tableEnd === "nearest" ? Math.max(0, Math.min(pages - 1, index)) : (index + pages) % pages;
    }
  }
  if (fault.edgeShift !== undefined && fault.tableEnd === "nearest") index = Math.min(index, pages - 1);
  return index < pages ? index * pageSize + (slot % pageSize) : -1;
}

/** The tokens that a cache without faults gives at a read. */
export function tokensDue(shape: TraceShape, state: State, layer: number): Int32Array {
  const none: ReadFault = { id: "", note: "" };
  const pages = layerOf(none, state, layer, "keys");
  return Int32Array.from(positionsOf(shape, none, state), (p) => tokenIn(pages, p, shape.pageSize));
}

/** The token in a slot of a layer; −1: nothing. */
export function tokenIn({ pages, offset }: LayerPages, slot: number, pageSize: number): number {
  if (slot < 0) return -1;
  return pages[Math.floor(slot / pageSize)]?.slots[offset + (slot % pageSize)] ?? -1;
}
