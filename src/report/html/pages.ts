/** The pages, one per command. Needs the optional packages @observablehq/plot and linkedom. */
export { type EvalReport, evalPage } from "./eval-page.js";
export { planPage } from "./plan-page.js";
export { reportPage } from "./report-page.js";
export { verifyPage } from "./verify-page.js";
