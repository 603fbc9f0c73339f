import { expect, test } from "vitest";
import { makeTables8, sumTables, tableBytes } from "../../src/kernels/tables.js";
import { tileContract } from "./tile-suite.js";

for (const dim of [32, 64, 96, 128, 256]) tileContract(dim, 16);
