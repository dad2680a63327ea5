/** One request to one model: what it may cost, how it is made, and what it did cost. */

import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { BaseMessage } from "@langchain/core/messages";
import type { ChatGenerationChunk, ChatResult } from "@langchain/core/outputs";
import { events } from "../../events.ts";
import type { Amounts } from "../../policy/budget.ts";
import { classifyWith, isFailure } from "../../policy/classify.ts";
import { costOf } from "../../policy/prices.ts";
import { Meter } from "./meter.ts";
import { withPatience } from "./patience.ts";
import type { ResolvedModelPolicy } from "./policy.ts";
import { estimateInput } from "./request.ts";
import type { CallSite } from "./site.ts";
import {
  canStream,
  maxTokensOf,
  prefersStream,
  sent,
  type CallOptions,
  type Target,
} from "./target.ts";

export interface Request {
  policy: ResolvedModelPolicy;
  messages: BaseMessage[];
  options: CallOptions;
  runManager: CallbackManagerForLLMRun | undefined;
  streams: boolean;
  onChunk?: ((chunk: ChatGenerationChunk) => void) | undefined;
  site: CallSite;
}

interface Made {
  result: ChatResult;
  /** The pieces, of an answer that came in pieces. */
  chunks: readonly ChatGenerationChunk[] | undefined;
}

export interface Attempt {
  /** What it may cost. */
  readonly needed: Amounts;
  make(): Promise<Made>;
  /** What it did cost, once it is over. */
  used(): Amounts;
}

export function attemptOn(request: Request, target: Target, idempotencyKey: string): Attempt {
  const { policy, messages, options, site } = request;
  const inputTokens = estimateInput(target, messages, options);
  const outputTokens = maxTokensOf(target, options) ?? policy.outputTokens;
  const meter = new Meter(inputTokens);
  let used: Amounts = { calls: 1 };
  const needed = amounts(request, target, { inputTokens, outputTokens });
  const settle = (failure: { error: unknown } | undefined): void => {
    used = record(request, target, meter, failure);
  };
  return {
    needed,
    used: () => used,
    make: async () => {
      let made: Made;
      try {
        made = await withPatience(
          {
            what: `A call of ${target.name}`,
            timeout: policy.timeout,
            idleTimeout: policy.httpTimeout,
            signal: site.signal,
            clock: site.steps.clock,
          },
          (signal, touch) => {
            const { httpTimeout } = policy;
            const all = sent(target, options, { signal, idempotencyKey, httpTimeout });
            const isStreamed = request.streams ? canStream(target) : prefersStream(target);
            return isStreamed
              ? inPieces(request, target, all, signal, meter, touch)
              : atOnce(request, target, all, meter);
          },
        );
      } catch (error) {
        settle({ error });
        throw error;
      }
      settle(undefined);
      return made;
    },
  };
}

async function atOnce(
  { messages, runManager }: Request,
  { model }: Target,
  options: CallOptions,
  meter: Meter,
): Promise<Made> {
  const result = await model._generate(messages, options, runManager);
  nameMessages(result, runManager);
  meter.done(result, false);
  return { result, chunks: undefined };
}

async function inPieces(
  { messages, runManager, onChunk }: Request,
  { model }: Target,
  options: CallOptions,
  signal: AbortSignal,
  meter: Meter,
  touch: () => void,
): Promise<Made> {
  const chunks: ChatGenerationChunk[] = [];
  for await (const chunk of model._streamResponseChunks(messages, options, runManager)) {
    // It was given up on: nobody wants the rest.
    signal.throwIfAborted();
    touch();
    meter.chunk(chunk);
    nameMessage(chunk.message, runManager);
    chunks.push(chunk);
    onChunk?.(chunk);
  }
  // Some models end a stream that was aborted as if it were whole.
  signal.throwIfAborted();
  const [first, ...rest] = chunks;
  if (first === undefined) throw new Error(`${model.getName()} answered with nothing at all.`);
  const result = { generations: [rest.reduce((sum, chunk) => sum.concat(chunk), first)] };
  meter.done(result, true);
  return { result, chunks };
}

/** As LangChain names messages that the provider has not; before it does, so that the record has it. */
function nameMessages(result: ChatResult, runManager: CallbackManagerForLLMRun | undefined): void {
  for (const { message } of result.generations) nameMessage(message, runManager);
}

function nameMessage(message: BaseMessage, runManager: CallbackManagerForLLMRun | undefined): void {
  if (message.id === undefined && runManager !== undefined) {
    message._updateId(`run-${runManager.runId}`);
  }
}

function amounts(
  { policy, site }: Request,
  { name }: Target,
  use: { inputTokens: number; outputTokens: number; cachedInputTokens?: number },
): Amounts {
  const usd = costOf(name, use, policy.prices);
  if (usd === undefined && site.budgets.some(({ limits }) => limits.usd !== undefined)) {
    events.notice(
      `holdfast: the price of "${name}" is not known, so its calls count nothing in a budget of dollars. ` +
        `Give it: prices: { "${name}": { input, output } }, in dollars for a million tokens.`,
    );
  }
  const tokens = use.inputTokens + use.outputTokens;
  return { calls: 1, tokens, ...(usd !== undefined && { usd }) };
}

/** @returns what counts in budgets */
function record(
  request: Request,
  target: Target,
  meter: Meter,
  failure: { error: unknown } | undefined,
): Amounts {
  const { policy, site } = request;
  const use = meter.use(failure?.error, failure !== undefined && wasAsked(request, failure.error));
  if (use === undefined) return { calls: 1 };
  const { inputTokens, outputTokens, estimated } = use;
  const spent = amounts(request, target, use);
  const model = target.name;
  const { usd } = spent;
  site.steps.usage.add({
    ...site.place,
    ...{ model, inputTokens, outputTokens, usd, estimated },
    failed: failure !== undefined,
    at: site.steps.clock.now(),
  });
  const told = { model, inputTokens, outputTokens, usd, estimated };
  events.emit("usage.recorded", { ...site.origin, ...told });
  return spent;

  /** A provider that falls silent, or is hung up on, may have been at work on the request. */
  function wasAsked({ site: { signal } }: Request, error: unknown): boolean {
    if (!isFailure(error, signal)) return true;
    return classifyWith(policy.classify, error).kind === "timeout";
  }
}
