/** The computed answer to any request: a tool call, a filled schema, or prose. A pure function. */

import type { ChatAnswer, ChatRequest } from "../wire.ts";
import { readPrompt } from "./prompt.ts";
import { writeProse } from "./prose.ts";
import { fillSchema } from "./schema.ts";
import { chooseToolCalls } from "./tools.ts";

export function computeAnswer(request: ChatRequest): ChatAnswer {
  const prompt = readPrompt(request);
  const toolCalls = chooseToolCalls(request, prompt);
  if (toolCalls.length > 0) return { toolCalls };
  const format = request.response_format;
  if (format?.type === "json_schema")
    return { content: JSON.stringify(fillSchema(format.json_schema?.schema ?? {}, prompt)) };
  if (format?.type === "json_object")
    return { content: JSON.stringify({ answer: writeProse(prompt) }) };
  return { content: writeProse(prompt) };
}
