/**
 * For tests of agents, ours and yours: a provider that fails on demand, a world that counts what it was asked to do, time
 * that waits for you, and kills at every durable operation.
 *
 * @module
 */

export { fakeOpenAI } from "./fake-openai.ts";
export type { FakeOpenAI, FakeOpenAIOptions, RecordedRequest } from "./fake-openai.ts";
export type {
  CutFault,
  DelayFault,
  EmbeddingFault,
  Fault,
  HangFault,
  Scripted,
  StatusFault,
} from "./faults.ts";
export type { EmbeddingRequest } from "./embeddings.ts";
export type { ChatAnswer, ChatMessage, ChatRequest, ToolCall } from "./wire.ts";
export { failTimes } from "./fail-times.ts";
export { ManualClock } from "./manual-clock.ts";
export type { RunUntilOptions } from "./manual-clock.ts";
export { fakeWorld } from "./world.ts";
export type {
  Details,
  FakeWorld,
  FakeWorldOptions,
  OperationKind,
  Performed,
  WorldFault,
  WorldRequest,
} from "./world.ts";
export { crashMatrix } from "./crash-matrix.ts";
export type {
  CrashCheck,
  CrashFailure,
  CrashMatrixOptions,
  CrashMatrixResult,
  CrashPoint,
  CrashRun,
  CrashSetup,
} from "./crash-matrix.ts";
