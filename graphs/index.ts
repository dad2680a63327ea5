/** The graphs, under the names that `langgraph.json` gives them. */

export { research } from "./research.ts";
