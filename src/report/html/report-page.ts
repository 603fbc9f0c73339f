/** The page of `report`: what each pair costs and keeps, drawn and tabled. Everything shown is in the JSON. */
import type { Figures } from "../figures.js";
import type { Rate } from "../rates.js";
import type { Report, ReportRow } from "../report.js";
import { figure } from "./figure.js";
import { type Html, html } from "./html.js";
import { page } from "./page.js";
import { badge, details, facts, notes, section } from "./parts.js";
import { headsPlot } from "./plots/heads.js";
import { histogramPlot } from "./plots/histogram.js";
import { linesPlot } from "./plots/lines.js";
import { profilePlot } from "./plots/profile.js";
import { rateDistortion } from "./plots/rate-distortion.js";
import { type Column, table } from "./table.js";

const MIB = 2 ** 20;
const number = (digits: number) => (value: number) => value.toFixed(digits);
const precise = (value: number): string => (value === 0 ? "0" : value.toPrecision(3));

export function reportPage(report: Report): string {
  const { recording, figures } = report;
  const { metadata, dim, heads, kvHeads, tokens, queries, recordedLayers } = recording;
  return page({
    title: "What compressing this KV cache costs and keeps",
    lead: html`<p>${metadata.model ?? "A recording"}${metadata.text ? html`, over ${metadata.text}` : null}: real keys, values and queries of layers ${recordedLayers.join(", ")}.</p>`,
    sections: [
      facts([
        ["Head dimension", dim],
        ["Query / key-value heads", `${heads} / ${kvHeads}`],
        ["Recorded tokens", tokens],
        ["Queries per head", queries],
        ["Layers for memory", report.layers],
      ]),
      checksSection(report),
      section("Every pair", pairsTable(report.rows), definitions(report)),
      ...(figures ? [rateSection(figures, report.rows), rotationSection(figures)] : []),
      headsSection(report.rows),
      memorySection(report.rows, report.layers),
      ...(figures ? [attentionSection(figures)] : []),
      speedSection(report.rows),
    ],
    made: "Made by turboquant-kv: turboquant report --html. Nothing was loaded from a network to make or to show this page.",
  });
}

function checksSection({ agreement, native }: Report): Html {
  return section(
    "Do the bytes hold?",
    html`<p>${badge(agreement.differences === 0 ? "equal" : "different", agreement.differences === 0 ? "good" : "bad")}
TypeScript and ${agreement.backend}: ${agreement.vectors.toLocaleString("en-US")} vectors encoded, decoded and scored by both, ${agreement.differences} bits differ.</p>
<p>${badge(native.mismatches === 0 ? "hold" : "differ", native.mismatches === 0 ? "good" : "bad")}
Native vectors: ${native.cases} recorded cases of ${native.types.length} types, ${native.mismatches} mismatches${native.first ? html`; first: <code>${native.first}</code>` : null}.</p>`,
  );
}

const PAIR_COLUMNS: readonly Column<ReportRow>[] = [
  { head: "keys/values", text: true, cell: (r) => html`<code>${r.name}</code>` },
  { head: "bits/value", cell: (r) => number(3)(r.bitsPerValue), by: (r) => r.bitsPerValue },
  { head: "bytes/token", cell: (r) => r.bytesPerToken, by: (r) => r.bytesPerToken },
  { head: "MiB at 32K", cell: (r) => number(0)(r.bytesAt32K / MIB), by: (r) => r.bytesAt32K },
  { head: "MiB at 128K", cell: (r) => number(0)(r.bytesAt128K / MIB), by: (r) => r.bytesAt128K },
  {
    head: "saved",
    cell: (r) => `${number(1)(100 * r.savingAgainstF16)} %`,
    by: (r) => r.savingAgainstF16,
  },
  { head: "D keys", cell: (r) => precise(r.keyDistortion), by: (r) => r.keyDistortion },
  { head: "D values", cell: (r) => precise(r.valueDistortion), by: (r) => r.valueDistortion },
  { head: "logit error", cell: (r) => precise(r.logitError), by: (r) => r.logitError },
  { head: "softmax KL", cell: (r) => precise(r.softmaxKl), by: (r) => r.softmaxKl },
  { head: "output cosine", cell: (r) => number(5)(r.outputCosine), by: (r) => r.outputCosine },
  {
    head: "bias",
    cell: (r) =>
      `${number(4)(r.bias).replace(/^-?0\.0000$/, "0.0000")} ± ${Number.isNaN(r.biasSe) ? "—" : number(4)(r.biasSe)}`,
    by: (r) => r.bias,
  },
];

const SPEED_COLUMNS: readonly Column<ReportRow>[] = [
  PAIR_COLUMNS[0]!,
  { head: "encode ns", cell: (r) => number(0)(r.encodeNs), by: (r) => r.encodeNs },
  {
    head: "score ns",
    cell: (r) => `${number(1)(r.scoreNs)}${r.path === "decoded" ? "*" : ""}`,
    by: (r) => r.scoreNs,
  },
  { head: "× f32", cell: (r) => number(2)(r.scoreRatio), by: (r) => r.scoreRatio },
];

const pairsTable = (rows: readonly ReportRow[]): Html =>
  table({ caption: "Every pair: memory and quality", columns: PAIR_COLUMNS, rows });

const definitions = ({ definitions: d, layers, seeds }: Report): Html | null =>
  notes([
    html`<b>bits, bytes, MiB</b>: every stored bit (scales, norms, sketches, padding), for ${layers} layers; a mean key is counted in MiB. <b>saved</b>: against f16.`,
    html`<b>D keys</b>: ${d.keyDistortion}. <b>D values</b>: ${d.valueDistortion}.`,
    html`<b>logit error</b>: ${d.logitError}. <b>softmax KL</b>: ${d.softmaxKl}. <b>output cosine</b>: ${d.outputCosine}.`,
    html`<b>bias</b>: ${d.bias}; seeds ${seeds.join(", ")}.`,
    html`<b>+mean</b>: keys are centred by their head's mean before they are coded. <b>+qjl</b>: a 1-bit sketch of the residual on top of the codes.`,
  ]);

const RATE_DEFINITION =
  "Each dot is a format; its size counts every stored bit. No code of b bits per value can do better than 2⁻²ᵇ on independent Gaussian values, which is what a vector's coordinates nearly are after a random rotation. A format that does not rotate may use what the data has of structure.";

function rateSection({ rates }: Figures, rows: readonly ReportRow[]): Html {
  const of = (side: Rate["side"]): Rate[] => rates.filter((r) => r.side === side);
  return section(
    "Rate and distortion",
    html`<p>How far is each format from what information theory allows, on these very vectors?</p>`,
    figure({
      title: "Values: distortion against stored bits",
      definition: `D = Σ|v − v′|² / Σ|v|² over the first 256 tokens of every recorded head. ${RATE_DEFINITION}`,
      drawing: rateDistortion(
        of("value"),
        rows.map((r) => r.value),
      ),
    }),
    figure({
      title: "Keys: distortion against stored bits",
      definition:
        "D = Σ|k − k′|² / Σ|k − m|², m the mean key of the head over the same tokens: softmax ignores what all keys have in common, but the codes have to hold it. So raw keys lie above the values' curve; +mean takes the common part off first.",
      drawing: rateDistortion(
        of("key"),
        rows.map((r) => r.key),
      ),
    }),
    details(
      `All ${of("value").length} formats as a table`,
      table({
        caption: "Every format: bits and distortion",
        columns: RATE_COLUMNS,
        rows: of("value").map((value) => ({ value, key: of("key").find((k) => k.format === value.format)! })),
      }),
      notes([
        html`<b>above the limit</b>: bits spent beyond ½ log₂ 1/D, for values. Negative for a format that finds structure in the data.`,
      ]),
    ),
  );
}

interface BothRates {
  readonly value: Rate;
  readonly key: Rate;
}

const above = ({ bits, distortion }: Rate): number | null =>
  distortion > 0 ? bits + Math.log2(distortion) / 2 : null;

const RATE_COLUMNS: readonly Column<BothRates>[] = [
  { head: "format", text: true, cell: ({ value }) => html`<code>${value.format}</code>` },
  { head: "family", text: true, cell: ({ value }) => value.family },
  { head: "bits of keys", cell: ({ key }) => number(3)(key.bits), by: ({ key }) => key.bits },
  { head: "D of keys", cell: ({ key }) => precise(key.distortion), by: ({ key }) => key.distortion },
  { head: "bits of values", cell: ({ value }) => number(3)(value.bits), by: ({ value }) => value.bits },
  {
    head: "D of values",
    cell: ({ value }) => precise(value.distortion),
    by: ({ value }) => value.distortion,
  },
  {
    head: "above the limit",
    cell: ({ value }) => above(value)?.toFixed(2) ?? "–",
    by: ({ value }) => above(value),
  },
];

function rotationSection({ coordinates }: Figures): Html {
  const { layer, head, format, vectors, before } = coordinates;
  const beyond = before.below + before.above;
  return section(
    "What the rotation does",
    html`<p>Keys of layer ${layer}, key/value head ${head}: of all recorded heads the one whose largest coordinate stands out most. One codebook can serve all coordinates only after the rotation.</p>`,
    figure({
      title: "All coordinates together",
      definition: `Density of x·√d/‖x‖ over ${vectors.toLocaleString("en-US")} keys, before and after the rotation of ${format} (seed 0); dashed: N(0,1), for which its codebook is made. Orange lines are the boundaries of the codebook's cells, orange dots its centroids.${beyond > 0 ? ` ${beyond} values lie beyond ±8.` : ""}`,
      drawing: histogramPlot(coordinates),
    }),
    figure({
      title: "Coordinate by coordinate",
      definition:
        "Root mean square of each coordinate of x·√d/‖x‖ over the same keys; 1 (dashed) if all were alike. A coordinate far above 1 is an outlier channel: without a rotation it would fall beyond the outermost cell.",
      drawing: profilePlot(coordinates),
    }),
  );
}

function headsSection(rows: readonly ReportRow[]): Html {
  const coded = rows.filter((r) => r.softmaxKl > 0);
  if (coded.length === 0) return html``;
  const values = (of: (h: ReportRow["byHead"][number]) => number) =>
    coded.flatMap(({ name, byHead }) =>
      byHead.map((h) => ({ name, layer: h.layer, head: h.head, value: of(h) })),
    );
  return section(
    "Error by layer and head",
    html`<p>Not every head suffers alike: those with outlier channels or a large common offset do most.</p>`,
    figure({
      title: "Softmax KL of each layer and head",
      definition:
        "Mean over the queries that read the head of KL(softmax(l) ‖ softmax(l′)), nats: how far attention's weights move when keys are coded. Steps of colour are equal ratios.",
      drawing: headsPlot(values((h) => h.softmaxKl)),
    }),
    figure({
      title: "Distance of the output from the exact one",
      definition:
        "1 − cos(Σ p v, Σ p′ v′), mean over the queries that read the head: keys and values coded, so what the next layer gets.",
      drawing: headsPlot(values((h) => Math.max(0, 1 - h.outputCosine))),
    }),
  );
}

const CONTEXTS = [4096, 16384, 32768, 65536, 98304, 131072];

function memorySection(rows: readonly ReportRow[], layers: number): Html {
  // Pairs of the same size share a line.
  const groups = new Map<number, ReportRow[]>();
  for (const row of rows) {
    const key = Math.round(row.bytesAt128K / 2 ** 22);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const named = (all: readonly ReportRow[]): string =>
    all.length === 1 ? all[0]!.name : `${all[0]!.name}, ${all.length - 1} more`;
  const points = [...groups.values()].flatMap((all) =>
    CONTEXTS.map((tokens) => ({
      name: named(all),
      tokens,
      value: (all[0]!.fixedBytes + tokens * all[0]!.bytesPerToken) / 2 ** 30,
    })),
  );
  const shared = [...groups.values()].filter((all) => all.length > 1);
  return section(
    "Memory against context",
    figure({
      title: "Cache of one sequence",
      definition: `GiB for ${layers} layers, from the formats' byte arithmetic; every stored bit is counted.${shared
        .map(
          (all) =>
            ` “${named(all)}” stands also for ${all
              .slice(1)
              .map((r) => r.name)
              .join(", ")}.`,
        )
        .join("")}`,
      drawing: linesPlot({ points, yLabel: "GiB" }),
    }),
  );
}

function attentionSection({ attention }: Figures): Html {
  const lengths = [...new Set(attention.map((a) => a.tokens))];
  const names = [...new Set(attention.map((a) => a.name))];
  const time = (name: string, tokens: number): number =>
    attention.find((a) => a.name === name && a.tokens === tokens)!.microseconds;
  return section(
    "Attention time against tokens",
    figure({
      title: "One new token attends to all that came before",
      definition:
        "Milliseconds for all query heads of one layer over a paged cache, on the packed bytes, WASM SIMD on one core of the machine that made this page; the least of five interleaved rounds. Both axes are logarithmic. Absolute times are this machine's; compare lines.",
      drawing: linesPlot({
        points: attention.map(({ name, tokens, microseconds }) => ({
          name,
          tokens,
          value: microseconds / 1000,
        })),
        yLabel: "ms per token",
        log: true,
      }),
    }),
    table({
      caption: "Attention time in milliseconds",
      columns: [
        { head: "keys/values", text: true, cell: (name: string) => html`<code>${name}</code>` },
        ...lengths.map((tokens) => ({
          head: `ms at ${tokens.toLocaleString("en-US")}`,
          cell: (name: string) => (time(name, tokens) / 1000).toPrecision(3),
          by: (name: string) => time(name, tokens),
        })),
      ],
      rows: names,
    }),
  );
}

const speedSection = (rows: readonly ReportRow[]): Html =>
  section(
    "Time of one vector",
    table({ caption: "Time to encode a vector and to score a key", columns: SPEED_COLUMNS, rows }),
    notes([
      html`<b>encode ns, score ns</b>: nanoseconds to encode one key vector, and for one query against one key; WASM SIMD on one core, the least of interleaved rounds. <b>× f32</b>: the score's time over that of f32 keys. * decoded in TypeScript, then dotted.`,
    ]),
  );
