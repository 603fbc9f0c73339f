/** The form's first half: the recording, random numbers, or a file of the reader's own, chosen or dropped. */
import { input, place, select, setOptions } from "./elements.js";
import { Job } from "./job.js";
import type { FoundTensor, Reply, VectorSource } from "./protocol.js";

/** What an array says of its vectors. */
export interface Shape {
  readonly dim?: number | undefined;
  readonly side?: "key" | "value" | undefined;
}

export interface SourceListener {
  /** Another source was chosen; it is not open yet. */
  onOpening(): void;
  onSource(source: VectorSource, shape?: Shape): void;
  onFailure(message: string): void;
}

/** The recording that ships with the sources, beside this page. */
const RECORDING = "recording.safetensors";

export function startSources(listener: SourceListener): void {
  let blob: { readonly blob: Blob; readonly name: string } | undefined;
  let recording: Blob | undefined;
  let tensors: readonly FoundTensor[] = [];
  let asked = 0;

  const opening = new Job((reply: Reply): void => {
    if (reply.type === "failed") listener.onFailure(reply.message);
    if (reply.type !== "opened") return;
    tensors = reply.tensors;
    place("tensor-part").hidden = tensors[0]!.name === null;
    setOptions(
      select("tensor"),
      tensors.map(({ name }) => ({ value: name ?? "", text: name ?? "" })),
    );
    chooseTensor();
  });

  function chooseTensor(): void {
    const tensor = tensors.find(({ name }) => (name ?? "") === select("tensor").value) ?? tensors[0];
    if (!blob || !tensor) return;
    const { name, shape, dtype, length } = tensor;
    place("dim-note").textContent =
      shape === null
        ? `Raw f32: ${Math.floor(length).toLocaleString("en-US")} values.`
        : `${dtype}, ${shapeText(shape)}: rows of the last axis, in C order.`;
    listener.onSource(
      { kind: "file", ...blob, ...(name === null ? {} : { tensor: name }) },
      { dim: shape?.at(-1), side: sideOf(name) },
    );
  }

  function open(chosen: Blob, name: string): void {
    listener.onOpening();
    blob = { blob: chosen, name };
    opening.start({ type: "open", source: { kind: "file", ...blob } });
  }

  function chooseFile(): void {
    const file = input("file").files?.[0];
    if (!file) return;
    place("file-note").textContent = `${file.name}, ${file.size.toLocaleString("en-US")} bytes.`;
    open(file, file.name);
  }

  async function openRecording(): Promise<void> {
    listener.onOpening();
    const mine = ++asked;
    try {
      recording ??= await fetched(RECORDING);
      if (mine === asked) open(recording, RECORDING);
    } catch {
      if (mine === asked)
        listener.onFailure(
          "The recording could not be read: this page has to come from a file server, as with npm run explorer. Random numbers and files of yours work all the same.",
        );
    }
  }

  function choose(): void {
    const kind = select("source").value;
    asked++;
    opening.stop();
    place("file-part").hidden = kind !== "file";
    place("normal-part").hidden = kind !== "normal";
    place("tensor-part").hidden = true;
    place("dim-note").textContent = "";
    if (kind === "recording") void openRecording();
    else if (kind === "file") chooseFile();
    else listener.onSource({ kind: "normal", vectors: Number(select("count").value) });
  }

  function drop(event: DragEvent): void {
    event.preventDefault();
    place("drop").classList.remove("over");
    const files = event.dataTransfer?.files;
    if (!files || files.length === 0) return;
    input("file").files = files;
    select("source").value = "file";
    choose();
  }

  select("source").addEventListener("change", choose);
  select("count").addEventListener("change", choose);
  select("tensor").addEventListener("change", chooseTensor);
  input("file").addEventListener("change", chooseFile);
  // A file that is dropped anywhere on the page is meant.
  addEventListener("dragover", (event) => {
    event.preventDefault();
    place("drop").classList.add("over");
  });
  addEventListener("dragleave", () => place("drop").classList.remove("over"));
  addEventListener("drop", drop);
  choose();
}

async function fetched(path: string): Promise<Blob> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.blob();
}

const shapeText = (shape: readonly number[] | null): string => `(${(shape ?? []).join(" × ")})`;

const sideOf = (name: string | null): Shape["side"] =>
  name?.endsWith(".value") ? "value" : name?.endsWith(".key") ? "key" : undefined;
