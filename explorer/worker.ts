/** The worker: everything that takes time. It lives for one job, and the page ends it to stop the job. */
import { findFormat } from "../src/formats/registry.js";
import type { Kernels } from "../src/kernels/kernels.js";
import { hasWasmSimd, loadWasm } from "../src/kernels/wasm.js";
import { judge } from "../src/oracle/dumps/judge.js";
import { identify } from "../src/oracle/identify.js";
import { Analysis, ratesOf, TRIED } from "./analysis.js";
import type { Reply, Request, Settings, VectorSource } from "./protocol.js";
import { findTensors, openFloats, openPacked } from "./vectors.js";

const reply = (message: Reply): void => postMessage(message);
/** Milliseconds between two pictures of a job that goes on. */
const PICTURE = 200;
/** Packed bytes that are also held against every other format. */
const IDENTIFIED = 1 << 20;

/** Values read at a time for a file. */
const EXPORTED = 1 << 20;

let analysis: Analysis | undefined;
/** The vector that was asked for before there was an analysis. */
let awaited: number | undefined;

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  try {
    await run(data);
  } catch (error) {
    reply({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  }
});

async function run(request: Request): Promise<void> {
  const { type } = request;
  if (type === "open" && request.source.kind === "file")
    reply({ type: "opened", tensors: await findTensors(request.source.blob, request.source.name) });
  if (type === "analyse") await analyse(request.source, request.settings);
  if (type === "vector") showVector(request.index);
  if (type === "export") await exportFloats(request.source, request.dim);
  if (type === "check") await check(request);
}

const kernelsOf = async ({ backend }: Settings): Promise<Kernels | undefined> =>
  backend === "wasm" && hasWasmSimd() ? loadWasm() : undefined;

function showVector(index: number): void {
  if (analysis) reply({ type: "vector", view: analysis.view(index) });
  else awaited = index;
}

/** Lets waiting messages in. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

async function analyse(source: VectorSource, settings: Settings): Promise<void> {
  const start = performance.now();
  const kernels = await kernelsOf(settings);
  const elements = await openFloats(source, settings.dim);
  analysis = new Analysis(elements, settings, kernels);
  if (awaited !== undefined) showVector(awaited);
  const summarise = (): void =>
    reply({ type: "summary", summary: analysis!.summary(), milliseconds: performance.now() - start });
  for (let shown = start; analysis.step(); await turn())
    if (performance.now() - shown > PICTURE) {
      summarise();
      shown = performance.now();
    }
  summarise();
  reply({ type: "done", ...analysis.result() });
  const rates = [];
  for (const rate of ratesOf(elements, settings, kernels)) {
    rates.push(rate);
    await turn();
  }
  reply({ type: "rates", rates, vectors: Math.min(TRIED, analysis.vectors) });
}

/** The vectors as raw f32, whatever they were. */
async function exportFloats(source: VectorSource, dim: number): Promise<void> {
  const elements = await openFloats(source, dim);
  const parts: Float32Array<ArrayBuffer>[] = [];
  for (let at = 0; at < elements.length; at += EXPORTED) {
    const part = new Float32Array(Math.min(EXPORTED, elements.length - at));
    elements.read(at, part);
    parts.push(part);
  }
  reply({ type: "exported", blob: new Blob(parts) });
}

async function check({
  source,
  settings,
  packed,
  decoded,
}: Extract<Request, { type: "check" }>): Promise<void> {
  const { format, dim, side, seed } = settings;
  const { width, bytesPerVector } = findFormat(format).open({ dim, side });
  const input = await openFloats(source, dim);
  const packedElements = packed ? await openPacked(packed, packed.name) : undefined;
  const files = {
    input,
    packed: packedElements,
    decoded: decoded
      ? await openFloats({ kind: "file", blob: decoded, name: decoded.name }, width)
      : undefined,
  };
  const dump = {
    of: { format, dim, side, seed },
    files,
    vectors: input.length / dim,
    stride: bytesPerVector,
    width,
  };
  const verdict = judge(dump, (done, total) => reply({ type: "progress", done, total }));
  const few =
    packedElements !== undefined && packedElements.length <= IDENTIFIED && verdict.verdict === "faulty";
  const candidates = few ? candidatesOf(input, packedElements, dim) : [];
  reply({ type: "checked", verdict, candidates });
}

type Floats = Awaited<ReturnType<typeof openFloats>>;
type Bytes = Awaited<ReturnType<typeof openPacked>>;

function candidatesOf(input: Floats, packed: Bytes, dim: number): ReturnType<typeof identify> {
  const x = new Float32Array(input.length);
  input.read(0, x);
  const bytes = new Uint8Array(packed.length);
  packed.read(0, bytes);
  try {
    return identify({ packed: bytes, input: x, dim }).slice(0, 3);
  } catch {
    return []; // no format has such a size: the verdict says so already
  }
}
