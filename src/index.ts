export { lloydMax } from "./core/lloyd-max.js";
