/**
 * One linear memory, and who owns which part of it: a first-fit allocator over a growable buffer. Kernels see byte
 * offsets only; hosts look through the typed views, which change when the memory grows, so never keep one across
 * an `allocate`.
 */

/** Bytes start … end − 1. */
export interface Span {
  start: number;
  end: number;
}

/** What grows: an ArrayBuffer that is copied, or the memory of a module, which others may make grow too. */
export interface Backing {
  readonly buffer: ArrayBuffer;
  /** Makes the buffer at least `bytes` longer: what is new, all zeros. @throws RangeError when it cannot. */
  growBy(bytes: number): Span;
  /** Makes `buffer` as long as the memory is by now, whoever made it grow. */
  refresh(): void;
}

const ALIGN = 16;
const align = (n: number): number => Math.ceil(n / ALIGN) * ALIGN;
const MAX_SPARE = 64 << 20;

/** Regions of a backend's memory, given out and taken back. */
export class Arena {
  readonly #backing: Backing;
  readonly #free: Span[];
  readonly #sizes = new Map<number, number>();
  /** Bytes of the buffer that are this arena's to give out. */
  #owned: number;
  #u8!: Uint8Array<ArrayBuffer>;
  #u16!: Uint16Array<ArrayBuffer>;
  #u32!: Uint32Array<ArrayBuffer>;
  #f32!: Float32Array<ArrayBuffer>;

  /** base: first byte that may be given out; the buffer's length: only what the arena makes it grow by. */
  constructor(backing: Backing, base: number) {
    const end = backing.buffer.byteLength;
    this.#backing = backing;
    this.#free = base < end ? [{ start: align(Math.max(base, ALIGN)), end }] : [];
    this.#owned = base < end ? end : 0;
    this.#look();
  }

  get u8(): Uint8Array<ArrayBuffer> {
    return this.#u8;
  }
  get u16(): Uint16Array<ArrayBuffer> {
    return this.#u16;
  }
  get u32(): Uint32Array<ArrayBuffer> {
    return this.#u32;
  }
  get f32(): Float32Array<ArrayBuffer> {
    return this.#f32;
  }

  /** Bytes given out and not released. */
  get usedBytes(): number {
    let sum = 0;
    for (const size of this.#sizes.values()) sum += size;
    return sum;
  }

  /** A 16-byte aligned region of at least `bytes` bytes, contents unspecified. */
  allocate(bytes: number): number {
    const size = align(Math.max(bytes, 1));
    const fits = (span: Span): boolean => span.end - span.start >= size;
    let at = this.#free.findIndex(fits);
    for (; at < 0; at = this.#free.findIndex(fits)) this.#grow(size);
    const span = this.#free[at]!;
    const start = span.start;
    span.start += size;
    if (span.start === span.end) this.#free.splice(at, 1);
    this.#sizes.set(start, size);
    return start;
  }

  /** Gives back what `allocate` gave out. @throws RangeError for any other pointer. */
  release(pointer: number): void {
    const size = this.#sizes.get(pointer);
    if (size === undefined) throw new RangeError(`"pointer" expected an allocated region, got ${pointer}`);
    this.#sizes.delete(pointer);
    const next = this.#free.findIndex((span) => span.start > pointer);
    const at = next < 0 ? this.#free.length : next;
    this.#free.splice(at, 0, { start: pointer, end: pointer + size });
    this.#join(at);
    if (at > 0) this.#join(at - 1);
  }

  /** A view of (n,) f32 at `pointer`, valid until the next growth. */
  floats(pointer: number, n: number): Float32Array<ArrayBuffer> {
    return this.#f32.subarray(pointer >>> 2, (pointer >>> 2) + n);
  }

  /** A view of (n,) bytes at `pointer`, valid until the next growth. */
  bytes(pointer: number, n: number): Uint8Array<ArrayBuffer> {
    return this.#u8.subarray(pointer, pointer + n);
  }

  /** Makes views reach what others had the memory grow by. */
  refresh(): void {
    this.#backing.refresh();
    this.#look();
  }

  #look(): void {
    const { buffer } = this.#backing;
    this.#u8 = new Uint8Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#f32 = new Float32Array(buffer);
  }

  #join(at: number): void {
    const here = this.#free[at];
    const next = this.#free[at + 1];
    if (here && next && here.end === next.start) {
      here.end = next.end;
      this.#free.splice(at + 1, 1);
    }
  }

  /** Another arena may have taken what follows the last free span: then the next try joins what this one got. */
  #grow(size: number): void {
    const last = this.#free.at(-1);
    const open = last && last.end === this.#backing.buffer.byteLength ? last.end - last.start : 0;
    const grown = this.#backing.growBy(Math.max(size - open, Math.min(this.#owned, MAX_SPARE)));
    this.#owned += grown.end - grown.start;
    this.#free.push(grown);
    if (last) this.#join(this.#free.length - 2);
    this.#look();
  }
}
