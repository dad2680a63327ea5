/**
 * LangGraph's validation suite. It expects vitest's functions as globals, which this project keeps
 * out of sight otherwise.
 */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CheckpointSaverTestInitializer } from "@langchain/langgraph-checkpoint-validation";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";

Object.assign(globalThis, { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it });

/** Every spec, and the delta-channel history one, which the package keeps apart. */
export async function officialSuite(
  initializer: CheckpointSaverTestInitializer<BaseCheckpointSaver>,
): Promise<void> {
  const { specTest, deltaChannelHistoryTests } =
    await import("@langchain/langgraph-checkpoint-validation");
  specTest(initializer);
  deltaChannelHistoryTests(initializer);
}
