/** What pages are made of, and the explorer too. */
import { type Html, html, type Part } from "./html.js";

/** A part under a heading of its own. */
export const section = (title: string, ...parts: readonly Part[]): Html =>
  html`<section><h2>${title}</h2>
${parts}</section>
`;

/** A few figures in boxes: name and value. */
export const facts = (entries: readonly (readonly [string, Part])[]): Html =>
  html`<dl class="facts">${entries.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** A word in its colour. */
export const badge = (text: string, kind: "good" | "warn" | "bad" | "plain"): Html =>
  html`<span class="badge ${kind}">${text}</span>`;

/** A list; null for none. */
export const notes = (lines: readonly Part[]): Html | null =>
  lines.length === 0 ? null : html`<ul class="notes">${lines.map((line) => html`<li>${line}</li>`)}</ul>`;

/** What few want to read: closed at first, open on paper. */
export const details = (summary: string, ...parts: readonly Part[]): Html =>
  html`<details><summary>${summary}</summary>
${parts}</details>
`;
