import { contract } from "./suite.js";

contract(576, 100_000);
