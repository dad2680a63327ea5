/**
 * What one attempt used: as the provider told it, or as counted here where it told nothing.
 *
 * Invariant
 *   U1  An attempt that failed counts, too: what its answer or its error reports, or else the request and
 *       what had come of the answer. A refused one that reports nothing costs nothing.
 */

import type { ChatGenerationChunk, ChatResult } from "@langchain/core/outputs";
import type { TokenUse } from "../../policy/prices.ts";
import { tokensIn } from "./request.ts";

export interface Use extends TokenUse {
  /** Counted here. */
  estimated: boolean;
}

interface Reported {
  input: number;
  output: number;
  cached: number;
}

export class Meter {
  readonly #inputEstimate: number;
  #reported: Reported | undefined;
  /** Characters of the answer so far. */
  #received = 0;
  #isDone = false;

  constructor(inputEstimate: number) {
    this.#inputEstimate = inputEstimate;
  }

  chunk({ message, text }: ChatGenerationChunk): void {
    const { usage_metadata, tool_call_chunks } = message as {
      usage_metadata?: unknown;
      tool_call_chunks?: { name?: string; args?: string }[];
    };
    this.#received += text.length;
    for (const { name = "", args = "" } of tool_call_chunks ?? []) {
      this.#received += name.length + args.length;
    }
    this.#add(readUsage(usage_metadata));
  }

  /** The whole answer is there. */
  done(result: ChatResult, isStreamed: boolean): void {
    this.#isDone = true;
    if (isStreamed) return;
    for (const { message, text } of result.generations) {
      const { tool_calls = [] } = message as { tool_calls?: unknown[] };
      this.#received +=
        text.length + (tool_calls.length > 0 ? JSON.stringify(tool_calls).length : 0);
    }
    // Several answers to one request report its usage together.
    const [first] = result.generations;
    this.#add(
      readUsage((first?.message as { usage_metadata?: unknown } | undefined)?.usage_metadata),
    );
  }

  /** @param wasAsked whether the provider may have worked on the request, for all that is known */
  use(error: unknown, wasAsked: boolean): Use | undefined {
    const reported = this.#reported ?? usageOfError(error);
    const counted = tokensIn(this.#received);
    if (reported === undefined) {
      const isUsed = this.#isDone || this.#received > 0 || wasAsked;
      if (!isUsed) return undefined;
      return { inputTokens: this.#inputEstimate, outputTokens: counted, estimated: true };
    }
    // A stream that broke has told of its beginning only.
    const isShort = !this.#isDone && counted > reported.output;
    return {
      inputTokens: reported.input,
      outputTokens: isShort ? counted : reported.output,
      ...(reported.cached > 0 && { cachedInputTokens: reported.cached }),
      estimated: isShort,
    };
  }

  #add(more: Reported | undefined): void {
    if (more === undefined) return;
    const { input = 0, output = 0, cached = 0 } = this.#reported ?? {};
    this.#reported = {
      input: input + more.input,
      output: output + more.output,
      cached: cached + more.cached,
    };
  }
}

/** LangChain's names, OpenAI's, and those that Anthropic and OpenAI's newer API have. */
function readUsage(usage: unknown): Reported | undefined {
  if (typeof usage !== "object" || usage === null) return undefined;
  const found = usage as Record<string, unknown>;
  const input = numberOf(found["input_tokens"] ?? found["prompt_tokens"]);
  const output = numberOf(found["output_tokens"] ?? found["completion_tokens"]);
  if (input === undefined && output === undefined) return undefined;
  const details = (found["input_token_details"] ?? found["prompt_tokens_details"] ?? {}) as Record<
    string,
    unknown
  >;
  const cached = numberOf(details["cache_read"] ?? details["cached_tokens"]);
  return { input: input ?? 0, output: output ?? 0, cached: cached ?? 0 };
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

const MAX_DEPTH = 4;

/** Where clients put the body of an answer that was an error. */
function usageOfError(error: unknown, depth = 0): Reported | undefined {
  if (typeof error !== "object" || error === null || depth > MAX_DEPTH) return undefined;
  const { usage, error: body, response, data, cause } = error as Record<string, unknown>;
  const own = readUsage(usage);
  if (own !== undefined) return own;
  for (const part of [body, response, data, cause]) {
    const found = usageOfError(part, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
