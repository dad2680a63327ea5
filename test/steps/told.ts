/** What a model told, however it was asked: for tests that compare a record with the answer itself. */

import type { AIMessage, AIMessageChunk, BaseMessage } from "@langchain/core/messages";
import { z } from "zod";

export type Way = "invoke" | "stream";

export const weather = {
  name: "weather",
  description: "The weather.",
  schema: z.object({ city: z.string() }),
};

interface Asked {
  invoke(messages: BaseMessage[]): Promise<AIMessageChunk>;
  stream(messages: BaseMessage[]): Promise<AsyncIterable<AIMessageChunk>>;
}

/** The answer; of a streamed one all pieces together. */
export async function asked(
  model: Asked,
  messages: BaseMessage[],
  way: Way,
): Promise<AIMessageChunk> {
  if (way === "invoke") return model.invoke(messages);
  const pieces = await Array.fromAsync(await model.stream(messages));
  return pieces.reduce((sum, piece) => sum.concat(piece));
}

/** All that a message tells, as plain data. */
export function factsOf(message: AIMessage | AIMessageChunk) {
  const { id, content, additional_kwargs, response_metadata } = message;
  const { tool_calls, invalid_tool_calls, usage_metadata } = message;
  return {
    ...{ id, content, additional_kwargs, response_metadata },
    ...{ tool_calls, invalid_tool_calls, usage_metadata },
  };
}
