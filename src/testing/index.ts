/**
 * For tests of agents, ours and yours: a provider that fails on demand.
 *
 * @module
 */

export { fakeOpenAI } from "./fake-openai.ts";
export type { FakeOpenAI, FakeOpenAIOptions, RecordedRequest } from "./fake-openai.ts";
export type { CutFault, DelayFault, Fault, HangFault, StatusFault } from "./faults.ts";
export type { ChatAnswer, ChatMessage, ChatRequest, ToolCall } from "./wire.ts";
export { failTimes } from "./fail-times.ts";
