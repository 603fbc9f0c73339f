// What tsc does not copy: the raw kernels, and the executable bit of the command line.
import { chmodSync, copyFileSync } from "node:fs";

copyFileSync("build/kernels.wasm", "dist/kernels.wasm");
chmodSync("dist/cli/main.js", 0o755);
