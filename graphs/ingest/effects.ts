/** What an ingestion does to the world, at module level. */

import { effect } from "holdfast";
import { ask } from "../environment/world.ts";

/** The mailer drops what it gets twice under one key. */
export const tellOwner = effect({
  name: "ingest.notify",
  run: (mail: { document: string; to: string; text: string }, context) =>
    ask("email", mail, context),
  onUnknown: "repeat",
});
