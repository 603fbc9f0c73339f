import { tileContract } from "./tile-suite.js";

for (const dim of [32, 64, 96, 128, 256]) tileContract(dim, 16);
