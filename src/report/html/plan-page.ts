/** The page of `plan`: which level fits, at which context, and the command that starts it. */
import type { contextTable, LevelPlan, Plan } from "../../plan/select-level.js";
import { figure } from "./figure.js";
import { type Html, html } from "./html.js";
import { page } from "./page.js";
import { badge, facts, notes, section } from "./parts.js";
import { tokensText } from "./plots/chart.js";
import { linesPlot } from "./plots/lines.js";
import { table } from "./table.js";

export interface PlanPage {
  readonly plan: Plan;
  readonly rows: ReturnType<typeof contextTable>;
  /** The server's command line. */
  readonly command: string;
}

const GIB = 2 ** 30;
const gb = (bytes: number, digits = 2): string => `${(bytes / GIB).toFixed(digits)} GB`;

export function planPage({ plan, rows, command }: PlanPage): string {
  const { chosen, model, context, pool, reason, warnings } = plan;
  return page({
    title: `${model.name}: ${chosen.level.name} at ${tokensText(context)} tokens`,
    lead: html`<p>${badge(chosen.fits ? "fits" : "does not fit", chosen.fits ? "good" : chosen.headroomBytes < 0 ? "bad" : "warn")} ${reason}</p>`,
    sections: [
      facts([
        ["Memory", `${gb(pool.totalBytes, 1)}, ${gb(pool.usableBytes, 1)} usable`],
        ["Weights", model.weightBytes === null ? "unknown" : gb(model.weightBytes)],
        ["Cache", gb(chosen.kvBytes)],
        ["The same in f16", gb(plan.f16Bytes)],
        ["Headroom left", gb(chosen.headroomBytes)],
        [
          "Longest context",
          chosen.longestContext === 0 ? "none" : chosen.longestContext.toLocaleString("en-US"),
        ],
      ]),
      ...(warnings.length > 0
        ? [
            section(
              "Warnings",
              notes(
                warnings.map(
                  (w) => html`${badge("warning", chosen.headroomBytes < 0 ? "bad" : "warn")} ${w}`,
                ),
              ),
            ),
          ]
        : []),
      section("The command", html`<pre>${command}</pre>`),
      section(
        "Levels at this context",
        levelsTable(plan),
        html`<p class="lead">GB are 2³⁰ bytes, K is 1,024 tokens. Bits per value count every stored bit of every layer as the engine stores it, padding included. A level fits if it leaves the headroom that it wants beside weights and cache.</p>`,
      ),
      contextsSection(plan, rows),
      ...(plan.notes.length > 0 ? [section("Notes", notes(plan.notes))] : []),
    ],
    made: "Made by turboquant-kv: turboquant plan --html.",
  });
}

const levelsTable = ({ levels, chosen }: Plan): Html =>
  table({
    caption: "Levels at the planned context",
    rows: levels,
    chosen: (entry) => entry === chosen,
    columns: [
      { head: "level", text: true, cell: ({ level }) => html`<code>${level.name}</code>` },
      {
        head: "room",
        text: true,
        cell: (e) =>
          badge(e.fits ? "fits" : "too little room", e.fits ? "good" : e.headroomBytes < 0 ? "bad" : "warn"),
      },
      { head: "quality", text: true, cell: ({ level }) => level.quality },
      { head: "bits/value", cell: (e) => e.bitsPerValue.toFixed(3), by: (e) => e.bitsPerValue },
      { head: "cache", cell: (e) => gb(e.kvBytes), by: (e) => e.kvBytes },
      { head: "headroom", cell: (e) => gb(e.headroomBytes), by: (e) => e.headroomBytes },
      { head: "wanted", cell: ({ level }) => `${level.headroomGb} GB`, by: ({ level }) => level.headroomGb },
      {
        head: "longest context",
        cell: (e) => (e.longestContext === 0 ? "none" : e.longestContext.toLocaleString("en-US")),
        by: (e) => e.longestContext,
      },
      { head: "layer mode", cell: ({ level }) => level.layerMode },
    ],
  });

function contextsSection({ chosen }: Plan, rows: PlanPage["rows"]): Html {
  const names = rows[0]?.levels.map((entry) => entry.level.name) ?? [];
  /** What there is beside the weights: the same for every level and context. */
  const room = (chosen.kvBytes + chosen.headroomBytes) / GIB;
  const points = rows.flatMap(({ context, levels }) =>
    levels.map((entry) => ({ name: entry.level.name, tokens: context, value: entry.kvBytes / GIB })),
  );
  const highest = Math.max(...points.map((p) => p.value));
  const cell = (entry: LevelPlan): Html =>
    entry.fits ? html`${gb(entry.kvBytes)}` : html`<span class="lead">(${gb(entry.kvBytes)})</span>`;
  return section(
    "Levels and contexts",
    rows.length > 1 &&
      figure({
        title: "Cache against context",
        definition: `GB of cache at each level.${room > 0 && room <= 1.6 * highest ? " The dashed line is the memory that is left beside the weights; each level wants some headroom below it." : ` ${gb(room * GIB)} are left beside the weights, which is off this scale.`}`,
        drawing: linesPlot({
          points,
          yLabel: "GB",
          levels:
            room > 0 && room <= 1.6 * highest ? [{ value: room, name: "memory beside the weights" }] : [],
        }),
      }),
    table({
      caption: "Cache of each level at each context",
      rows,
      columns: [
        { head: "context", text: true, cell: (r) => tokensText(r.context), by: (r) => r.context },
        ...names.map((name, i) => ({
          head: name,
          cell: (r: PlanPage["rows"][number]) => cell(r.levels[i]!),
          by: (r: PlanPage["rows"][number]) => r.levels[i]!.kvBytes,
        })),
        {
          head: "choice",
          text: true,
          cell: (r: PlanPage["rows"][number]) =>
            html`<code>${r.choice}</code>${r.chosenFits ? null : " does not fit"}`,
        },
      ],
    }),
    html`<p class="lead">In brackets: leaves less than the headroom that the level wants.</p>`,
  );
}
