/** The graphs, under the names that `langgraph.json` gives them. */

export { booking } from "./booking.ts";
export { ingest } from "./ingest.ts";
export { research } from "./research.ts";
export { returns } from "./returns.ts";
