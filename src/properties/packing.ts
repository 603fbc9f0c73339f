/** Do codes come back from their bytes, each from its own bits, in the place that the layout says? */
import fc from "fast-check";
import { type Awaitable, exampleProperty, insist, type Property, Suspicion } from "./property.js";

/** The bit packing of somebody's, for one vector of codes. */
export interface PackingUnderTest {
  readonly bits: number;
  /** Codes that one call packs: a vector's. */
  readonly count: number;
  /** Bytes that hold them; default ⌈count · bits / 8⌉. */
  readonly bytes?: number;
  /** codes: (count,) of 0 … 2^bits − 1 → (bytes,). */
  pack(codes: Uint8Array): Awaitable<Uint8Array>;
  /** bytes: (bytes,) → (count,). */
  unpack(bytes: Uint8Array): Awaitable<Uint8Array>;
  /** The stream bit (byte · 8 + bit, least significant bit 0) of bit `bit` of code `index`, where the layout is fixed. */
  readonly place?: (index: number, bit: number) => number;
}

/** Code i at stream bits i·bits … of bytes, least significant bit first: the layout of most formats. */
export const leastSignificantFirst =
  (bits: number) =>
  (index: number, bit: number): number =>
    index * bits + bit;

const SUITE = "packing";

/** Round trips, independence of neighbours and, where `place` is given, every bit's place. */
export function packingSuite(p: PackingUnderTest): readonly Property[] {
  const { bits, count } = p;
  const size = p.bytes ?? Math.ceil((count * bits) / 8);
  const codes = fc.uint8Array({ minLength: count, maxLength: count, max: 2 ** bits - 1 });
  const pack = async (given: Uint8Array): Promise<Uint8Array> => {
    const bytes = await p.pack(given.slice());
    insist(
      bytes.length === size,
      () => `packed ${count} codes of ${bits} bits into ${bytes.length} bytes, expected ${size}`,
    );
    return bytes.slice();
  };
  return [
    exampleProperty(
      SUITE,
      "unpacking gives back every code",
      ["pack-zero", "pack-tail-dropped", "pack-nibble-order", "pack-plane-missing", "codebook-truncated"],
      codes,
      async (given) => {
        const back = await p.unpack(await pack(given));
        insist(back.length === count, () => `unpacked ${back.length} codes, expected ${count}`);
        const wrong = given.findIndex((code, i) => back[i] !== code);
        insist(wrong < 0, () => `code ${wrong} was ${given[wrong]} and came back as ${back[wrong]}`);
      },
    ),
    exampleProperty(
      SUITE,
      "a code owns its bits: changing it changes no other",
      ["overrun", "pack-plane-vs-stream", "pack-bitplane-order"],
      fc.tuple(codes, fc.nat({ max: count - 1 }), fc.integer({ min: 1, max: 2 ** bits - 1 })),
      async ([given, at, change]) => {
        const changed = given.slice();
        changed[at] = changed[at]! ^ change;
        const back = await p.unpack(await pack(changed));
        for (let i = 0; i < count; i++)
          insist(back[i] === changed[i], () => `code ${i} became ${back[i]} when code ${at} changed`);
      },
    ),
    ...(p.place ? [placed(p, p.place, codes, pack)] : []),
  ];
}

function placed(
  { bits, count }: PackingUnderTest,
  place: (index: number, bit: number) => number,
  codes: fc.Arbitrary<Uint8Array>,
  pack: (codes: Uint8Array) => Promise<Uint8Array>,
): Property {
  return exampleProperty(
    SUITE,
    "every bit lies where the layout says",
    [
      "pack-nibble-order",
      "pack-msb-first",
      "pack-interleaved",
      "pack-bitplane-order",
      "pack-plane-vs-stream",
    ],
    codes,
    async (given) => {
      const bytes = await pack(given);
      const bitAt = (index: number, bit: number): number => {
        const at = place(index, bit);
        return (bytes[at >> 3]! >> (at & 7)) & 1;
      };
      for (let i = 0; i < count; i++)
        for (let bit = 0; bit < bits; bit++) {
          const due = (given[i]! >> bit) & 1;
          if (bitAt(i, bit) === due) continue;
          const inverted = given.every((code, j) =>
            Array.from({ length: bits }, (_, k) => bitAt(j, k) !== ((code >> k) & 1)).every(Boolean),
          );
          const reason = `bit ${bit} of code ${i} (${given[i]}) is ${1 - due} at stream bit ${place(i, bit)}`;
          if (inverted) throw new Suspicion(`${reason}; all bits are inverted`, ["pack-inverted"]);
          throw new Error(reason);
        }
    },
  );
}
