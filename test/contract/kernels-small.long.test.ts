import { contract } from "./suite.js";

// With kernels-large.long.test.ts every dimension of the contract, split so that two workers take equal time.
for (const dim of [32, 64, 96, 128, 192, 256]) contract(dim, 100_000);
