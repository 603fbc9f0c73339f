/** The page: what is chosen becomes a job, what the job finds is shown. */
import { html } from "../src/report/html/html.js";
import { element, input, place, select } from "./elements.js";
import { drawn, setHtml } from "./figures.js";
import { Job } from "./job.js";
import { showVector } from "./one-vector.js";
import type { Reply, Settings, Summary, VectorSource } from "./protocol.js";
import { showRates, showSummary } from "./results.js";
import { fillFormats, readSettings, updateNotes } from "./settings.js";
import { startSources } from "./source.js";
import { showVerdict } from "./verdict.js";

/** Milliseconds after the last key before a job begins. */
const REST = 150;

let source: VectorSource | undefined;
let settings: Settings | undefined;
let last: Summary | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
let packed: Blob | undefined;
/** How many jobs were asked for: an answer to an earlier one changes nothing. */
let begun = 0;

const say = (text: string): void => {
  if (place("status").textContent !== text) place("status").textContent = text;
};

function complain(message: string | null): void {
  place("alert").hidden = message === null;
  place("alert").textContent = message;
}

/** Nothing is under way. */
function rest(text?: string): void {
  if (text !== undefined) say(text);
  const turn = begun;
  void drawn().then(() => {
    if (turn === begun) place("results").setAttribute("aria-busy", "false");
  });
}

/** What is shown is of something else from here on. */
function unsettle(): void {
  begun++;
  place("results").setAttribute("aria-busy", "true");
  clearTimeout(timer);
}

function schedule(): void {
  unsettle();
  timer = setTimeout(begin, REST);
}

function begin(): void {
  analysis.stop();
  updateNotes();
  const read = readSettings();
  if (!source) return;
  if (typeof read === "string") {
    complain(read);
    rest("Nothing coded.");
    return;
  }
  complain(null);
  settings = read;
  last = undefined;
  say("Coding.");
  element("download", HTMLButtonElement).hidden = true;
  analysis.start({ type: "analyse", source, settings });
  analysis.ask({ type: "vector", index: index() });
}

const index = (): number => Number(input("index").value);

function progress(done: number, total: number): void {
  const bar = element("progress", HTMLProgressElement);
  bar.hidden = done === total;
  bar.value = done / total;
}

const analysis = new Job((reply: Reply): void => {
  switch (reply.type) {
    case "summary":
      sumUp(reply.summary, reply.milliseconds);
      break;
    case "done":
      if (last) showSummary(last, reply.sha256);
      packed = reply.packed;
      element("download", HTMLButtonElement).hidden = false;
      break;
    case "rates":
      showRates(reply.rates, reply.vectors, settings!);
      rest();
      break;
    case "vector":
      showVector(reply.view);
      break;
    case "failed":
      progress(1, 1);
      complain(reply.message);
      rest("Stopped.");
  }
});

function sumUp(summary: Summary, milliseconds: number): void {
  const { vectors, total } = (last = summary);
  progress(vectors, total);
  showSummary(summary, null);
  input("index").max = String(total - 1);
  if (vectors < total) return;
  const { dim, format } = settings!;
  say(
    `${total.toLocaleString("en-US")} vectors of ${dim} values as ${format}: ${(milliseconds / 1000).toFixed(2)} s.`,
  );
}

const checking = new Job((reply: Reply): void => {
  let status = "";
  if (reply.type === "progress")
    status = `${Math.floor((100 * reply.done) / reply.total)} % of the vectors checked.`;
  if (reply.type === "checked") {
    status = `Verdict: ${reply.verdict.verdict}.`;
    showVerdict(reply.verdict, reply.candidates);
  }
  if (reply.type === "failed") setHtml(place("verdict"), html`<p class="alert">${reply.message}</p>`);
  place("check-status").textContent = status;
});

function check(event: Event): void {
  event.preventDefault();
  const files = {
    packed: input("packed").files?.[0] ?? null,
    decoded: input("decoded").files?.[0] ?? null,
  };
  place("verdict").replaceChildren();
  if (!source || !settings || (!files.packed && !files.decoded)) {
    place("check-status").textContent = "Choose packed bytes or decoded values first.";
    return;
  }
  place("check-status").textContent = "Checking.";
  checking.start({ type: "check", source, settings, ...files });
}

/** Hands a file to the reader. */
function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const exporting = new Job((reply: Reply): void => {
  if (reply.type === "exported") save(reply.blob, "x.f32");
  else if (reply.type === "failed") complain(reply.message);
});

function start(): void {
  if (typeof Worker === "undefined" || typeof ResizeObserver === "undefined") {
    complain("This browser is too old for this page: it needs workers and ResizeObserver.");
    return;
  }
  fillFormats("turbo3");
  updateNotes();
  for (const id of ["format", "side", "scale", "backend"]) select(id).addEventListener("change", schedule);
  for (const id of ["dim", "seed"]) input(id).addEventListener("input", schedule);
  input("index").addEventListener("input", () => analysis.ask({ type: "vector", index: index() }));
  element("next", HTMLButtonElement).addEventListener("click", () => {
    input("index").value = String((index() + 1) % (last?.total ?? 1));
    analysis.ask({ type: "vector", index: index() });
  });
  element("check-form", HTMLFormElement).addEventListener("submit", check);
  element("form", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
  element("download", HTMLButtonElement).addEventListener("click", () => {
    const { format, dim } = settings!;
    if (packed) save(packed, `${format.replaceAll("/", "-")}-${dim}.bin`);
  });
  element("save-input", HTMLButtonElement).addEventListener("click", () => {
    if (source && settings) exporting.start({ type: "export", source, dim: settings.dim });
  });
  startSources({
    onOpening: unsettle,
    onSource(chosen, shape) {
      source = chosen;
      input("index").value = "0";
      if (shape?.side) select("side").value = shape.side;
      if (shape?.dim) input("dim").value = String(shape.dim);
      schedule();
    },
    onFailure(message) {
      source = undefined;
      analysis.stop();
      complain(message);
      rest("Nothing coded.");
    },
  });
}

start();
