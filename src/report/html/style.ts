/** Colours and type of everything that is looked at: the pages and the explorer. Light and dark by the reader's choice. */
export const TOKENS = `
:root {
  color-scheme: light dark;
  --paper: #fbfbf9; --raised: #ffffff; --ink: #1d2125; --muted: #5b626b; --hair: #dfe1dd; --soft: #f0f1ee; --shade: #1d212540;
  --accent: #1f5f9f; --good: #1c6b41; --good-soft: #e2f2e8; --warn: #865207; --warn-soft: #fbeeda;
  --bad: #a3242f; --bad-soft: #fbe6e6;
  --c1: #2a6cb0; --c2: #bf5b17; --c3: #2b8256; --c4: #7a52b3; --c5: #b33f4b; --c6: #127a85; --c7: #7f701a; --c8: #69707a;
  --h0: #edf3f9; --h1: #d3e3f2; --h2: #aecbe6; --h3: #7fabd6; --h4: #4f88c0; --h5: #2a659f; --h6: #134a7d;
  --h-low: #1d2125; --h-high: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --raised: #1b1f23; --ink: #e6e8ea; --muted: #a2a9b2; --hair: #30363d; --soft: #22272c; --shade: #00000099;
    --accent: #7db4ec; --good: #77cf9d; --good-soft: #163524; --warn: #e6b568; --warn-soft: #3a2c12;
    --bad: #f3929a; --bad-soft: #411d20;
    --c1: #6ba8e5; --c2: #ec965b; --c3: #5fbf8c; --c4: #b395e6; --c5: #ec808a; --c6: #52bcc7; --c7: #cabb58; --c8: #9ba3ae;
    --h0: #1f2a35; --h1: #24405b; --h2: #2a567f; --h3: #3a72a5; --h4: #5b94c8; --h5: #8bb8e2; --h6: #c4def5;
    --h-low: #e6e8ea; --h-high: #0d1216;
  }
}
`;

export const BASE = `
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums;
}
main, header, footer { max-width: 71rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2.75rem; }
footer { padding-top: 1rem; padding-bottom: 3rem; color: var(--muted); font-size: .875rem; }
h1 { font-size: 1.75rem; line-height: 1.2; font-weight: 650; letter-spacing: -.015em; margin: 0 0 .5rem; text-wrap: balance; }
h2 { font-size: 1.2rem; line-height: 1.3; font-weight: 650; letter-spacing: -.01em; margin: 3.25rem 0 .5rem; }
h3 { font-size: 1rem; font-weight: 650; margin: 2rem 0 .35rem; }
p { margin: .5rem 0; max-width: 44rem; }
a { color: var(--accent); }
.lead { color: var(--muted); }
code, pre, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .875em; }
pre { background: var(--soft); padding: .9rem 1rem; border-radius: .5rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 1.5rem 0 2.25rem; max-width: 51rem; } figure h3 { margin-top: 0; }
figcaption { color: var(--muted); font-size: .875rem; line-height: 1.5; max-width: 46rem; margin-top: .5rem; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1rem; list-style: none; margin: .25rem 0 .5rem; padding: 0; font-size: .8125rem; color: var(--muted); }
.legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: .2rem; margin-right: .4rem; vertical-align: -.05rem; }
figure svg { display: block; width: 100%; height: auto; font-family: inherit; color: var(--muted); overflow: visible; }
.scroll { overflow-x: auto; margin: 1rem 0 .5rem; border: 1px solid var(--hair); border-radius: .5rem;
  /* A shadow at an edge beyond which there is more: two covers move with the table, the shadows stay. */
  background:
    linear-gradient(to right, var(--raised) 40%, transparent) left / 2.5rem 100% no-repeat local,
    linear-gradient(to left, var(--raised) 40%, transparent) right / 2.5rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / 1rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / 1rem 100% no-repeat scroll,
    var(--raised); }
.scroll:focus-visible, button:focus-visible, a:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .8125rem; line-height: 1.4; }
th, td { padding: .4rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--hair); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 550; vertical-align: bottom; background: var(--soft); white-space: normal; min-width: 3.4rem; }
th.text, td.text { text-align: left; }
th:first-child, td:first-child { padding-left: .8rem; } th:last-child, td:last-child { padding-right: .8rem; }
td.wrap { white-space: normal; min-width: 16rem; overflow-wrap: anywhere; }
tbody th { font-weight: 500; text-align: left; position: sticky; left: 0; background: var(--raised); } td code, th code { font-size: .95em; font-weight: 400; }
th button { all: unset; cursor: pointer; display: inline; color: inherit; font: inherit; border-radius: .2rem; }
th button::after { content: "\\202F↕"; font-size: .85em; opacity: .4; }
th[aria-sort="ascending"] button::after { content: "\\202F↑"; opacity: 1; }
th[aria-sort="descending"] button::after { content: "\\202F↓"; opacity: 1; }
tr.chosen > * { background: var(--good-soft); }
.badge { display: inline-block; padding: .1rem .6rem; border-radius: 1rem; font-size: .8125rem; font-weight: 600; background: var(--soft); color: var(--muted); }
.badge.good { background: var(--good-soft); color: var(--good); }
.badge.warn { background: var(--warn-soft); color: var(--warn); }
.badge.bad { background: var(--bad-soft); color: var(--bad); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0; padding: 0; }
.facts > div { background: var(--raised); border: 1px solid var(--hair); border-radius: .5rem; padding: .6rem .85rem; }
.facts dt { color: var(--muted); font-size: .8125rem; }
.facts dd { margin: 0; font-size: 1.05rem; font-weight: 600; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); padding: .3rem 0; border-radius: .2rem; width: fit-content; }
.notes { padding-left: 1.1rem; } .notes li { margin: .25rem 0; max-width: 44rem; overflow-wrap: anywhere; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 640px) {
  body { font-size: 15px; } h1 { font-size: 1.45rem; } h2 { margin-top: 2.5rem; }
  header { padding-top: 1.75rem; } main, header, footer { padding-left: 1.25rem; padding-right: 1.25rem; }
  .facts { grid-template-columns: 1fr 1fr; }
}
`;

/** Two drawings of each plot: one for paper and desks, one for phones. And paper is white. */
export const PAGE = `
.narrow { display: none; }
@media (min-width: 1120px) {
  figure { display: grid; grid-template-columns: 51rem 1fr; column-gap: 2rem; max-width: none; }
  figure > * { grid-column: 1; } figcaption { grid-column: 2; grid-row: 1 / span 4; align-self: start; margin-top: 2rem; }
}
@media (max-width: 640px) { .wide { display: none; } .narrow { display: block; max-width: 26rem; } }
@page { margin: 1.5cm; }
@media print {
  :root { color-scheme: light; }
  body { font-size: 10.5pt; background: #fff; } main, header, footer { max-width: none; padding: 0; }
  .wide { display: block; } .narrow { display: none; } figure { display: block; max-width: none; }
  figure, .facts, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; border: 0; background: none; } table { font-size: 6.5pt; }
  th, td { padding: .2rem .2rem; white-space: normal; } thead th { min-width: 0; } td.wrap { min-width: 8rem; }
  th:first-child, td:first-child { padding-left: 0; } th:last-child, td:last-child { padding-right: 0; }
  th button::after { content: none; }
}
`;
