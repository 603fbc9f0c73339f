/** What code allocates, by V8's sampling of every allocation's site. */
import inspector from "node:inspector";

/** Bytes that functions of src allocated while `work` ran, collected or not. */
export function allocatedBy(work: () => void): number {
  const session = new inspector.Session();
  session.connect();
  session.post("HeapProfiler.enable");
  const options = { includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true };
  session.post("HeapProfiler.startSampling", { samplingInterval: 4096, ...options });
  work();
  let bytes = 0;
  const add = ({ callFrame, selfSize, children }: inspector.HeapProfiler.SamplingHeapProfileNode): void => {
    if (callFrame.url.includes("/src/")) bytes += selfSize;
    children.forEach(add);
  };
  session.post("HeapProfiler.stopSampling", (error, { profile }) => {
    if (error) throw error;
    add(profile.head);
  });
  session.disconnect();
  return bytes;
}
