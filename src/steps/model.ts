/**
 * `durableModel()`: a chat model under policies, which stays a chat model.
 *
 * LangChain's own machinery runs around it as around any model: callbacks, tracing, caches, token
 * streaming, `bindTools`, `withStructuredOutput`. Only the call itself goes through `model/call.ts`, which
 * asks the model's `_generate` or `_streamResponseChunks` under this model's callbacks.
 */

import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { BaseLanguageModelInput } from "@langchain/core/language_models/base";
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BindToolsInput,
} from "@langchain/core/language_models/chat_models";
import { AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";
import type { Runnable, RunnableConfig } from "@langchain/core/runnables";
import { anySignal } from "../abort.ts";
import { inNodeOf } from "../context.ts";
import { InvalidInputError } from "../errors.ts";
import { events } from "../events.ts";
import { costNotice } from "../policy/retry-policy.ts";
import { ChunkQueue } from "./model/chunk-queue.ts";
import { answer, type ModelCall } from "./model/call.ts";
import { resolveModelPolicy, type ModelPolicy, type ResolvedModelPolicy } from "./model/policy.ts";
import { siteHere } from "./model/site.ts";
import { targetsOf, withBound, type CallOptions, type Target } from "./model/target.ts";

/** Marks the options of a call whose pieces are wanted as they come. */
const LIVE = Symbol("live");
/** The config that a call was made with, in its options: LangChain keeps it for itself. */
const CONFIG = Symbol("config");

/** What a call's options hold beside those of the provider. */
interface Carried {
  [LIVE]?: true;
  [CONFIG]?: RunnableConfig;
}

/** A chat model under policies, which can be given tools; made by {@link durableModel}. */
export type DurableModel<Options extends BaseChatModelCallOptions = BaseChatModelCallOptions> =
  BaseChatModel<Options> & Required<Pick<BaseChatModel<Options>, "bindTools">>;

function carrying<Options extends object>(options: Options | undefined): Options | undefined {
  return options && { ...options, [CONFIG]: options };
}

class DurableChatModel<
  Options extends BaseChatModelCallOptions = BaseChatModelCallOptions,
> extends BaseChatModel<Options> {
  readonly #targets: readonly [Target, ...Target[]];
  readonly #policy: ResolvedModelPolicy;
  /** Whose budget it is, outside of a run: that of the model that was made durable. */
  readonly #owner: object;

  constructor(models: readonly unknown[], policy: ResolvedModelPolicy, owner?: object) {
    const targets = targetsOf(models) as [Target, ...Target[]];
    const [{ model }] = targets;
    super({
      ...(model.cache !== undefined && { cache: model.cache }),
      ...(model.callbacks !== undefined && { callbacks: model.callbacks }),
      ...(model.tags !== undefined && { tags: model.tags }),
      ...(model.metadata !== undefined && { metadata: model.metadata }),
      ...(model.outputVersion !== undefined && { outputVersion: model.outputVersion }),
      verbose: model.verbose,
    });
    this.#targets = targets;
    this.#policy = policy;
    this.#owner = owner ?? this;
    this.disableStreaming = model.disableStreaming;
  }

  static override lc_name(): string {
    return "DurableModel";
  }

  override _llmType(): string {
    return "durable";
  }

  get #first(): Target {
    return this.#targets[0];
  }

  override getName(suffix?: string): string {
    return this.#first.model.getName(suffix);
  }

  override getLsParams(options: this["ParsedCallOptions"]) {
    return this.#first.model.getLsParams(this.#all(options));
  }

  override invocationParams(options?: this["ParsedCallOptions"]): unknown {
    return this.#first.model.invocationParams(this.#all(options ?? {}));
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- as the base class has it: part of a cache's key
  override _identifyingParams(): Record<string, any> {
    return this.#first.model._identifyingParams();
  }

  override get callKeys(): string[] {
    // The base class asks while it is being made.
    return #targets in this ? this.#first.model.callKeys : super.callKeys;
  }

  override get profile() {
    return #targets in this ? this.#first.model.profile : {};
  }

  override _combineLLMOutput(...outputs: ChatResult["llmOutput"][]): ChatResult["llmOutput"] {
    return this.#first.model._combineLLMOutput?.(...outputs);
  }

  #all(options: object): never {
    return withBound(this.#first, options as CallOptions) as never;
  }

  /** The same tools for the model and its fallbacks, each in its provider's way. */
  override bindTools(
    tools: BindToolsInput[],
    kwargs?: Partial<Options>,
  ): Runnable<BaseLanguageModelInput, AIMessageChunk, Options> {
    return this.#with((model) => {
      if (model.bindTools === undefined) {
        throw new InvalidInputError(
          `${model.getName()} cannot be given tools: it has no bindTools.`,
        );
      }
      return model.bindTools(tools, kwargs);
    });
  }

  override withStructuredOutput(...given: unknown[]): never {
    const { model } = this.#first;
    // The provider's own way to ask for it and to read it, around this model instead of that one.
    const own = new Proxy(model, {
      get: (target, key) => {
        if (key === "bindTools") return this.bindTools.bind(this);
        if (key === "withConfig") return this.withConfig.bind(this);
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" && key !== "constructor" ? value.bind(target) : value;
      },
    });
    const structured: unknown = Reflect.get(model, "withStructuredOutput");
    return Reflect.apply(structured as (...given: unknown[]) => never, own, given);
  }

  #with(change: (model: BaseChatModel) => unknown): DurableChatModel<Options> {
    const models = this.#targets.map(({ model }) => change(model));
    return new DurableChatModel<Options>(models, this.#policy, this.#owner);
  }

  override invoke(
    input: BaseLanguageModelInput,
    options?: Partial<Options>,
  ): Promise<AIMessageChunk> {
    return super.invoke(input, carrying(options));
  }

  override async _generate(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    return inNodeOf((options as Carried)[CONFIG], async () => {
      const call = await this.#call(messages, options, runManager, false);
      return (await answer(call)).result;
    });
  }

  override async *_streamIterator(
    input: BaseLanguageModelInput,
    options?: Partial<Options>,
  ): AsyncGenerator<AIMessageChunk> {
    const live: object = { ...carrying(options), [LIVE]: true };
    yield* super._streamIterator(input, live);
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const { [LIVE]: isWanted, [CONFIG]: config } = options as Carried;
    const call = await inNodeOf(config, () => this.#call(messages, options, runManager, true));
    const how = this.#policy.stream ?? (call.site.node === undefined ? "live" : "whole");
    if (isWanted && how === "live") {
      yield* this.#live(call, config);
      return;
    }
    const { result, chunks } = await inNodeOf(config, () => answer(call));
    yield* chunks ?? replayed(result, runManager);
  }

  /** Hands on each piece as it comes; who stops listening stops the call. */
  async *#live(
    call: ModelCall,
    config: RunnableConfig | undefined,
  ): AsyncGenerator<ChatGenerationChunk> {
    const left = new AbortController();
    const queue = new ChunkQueue<ChatGenerationChunk>();
    const signal = anySignal(call.site.signal, left.signal);
    const site = { ...call.site, signal };
    const working = inNodeOf(config, () =>
      answer({ ...call, site, onChunk: (chunk) => queue.push(chunk) }),
    );
    queue.endWith(working);
    try {
      yield* queue;
      const { result, chunks } = await working;
      if (chunks === undefined) yield* replayed(result, call.runManager);
    } finally {
      left.abort(new Error("Nobody listens to the answer any more."));
    }
  }

  async #call(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager: CallbackManagerForLLMRun | undefined,
    streams: boolean,
  ): Promise<ModelCall> {
    const { signal } = options as { signal?: AbortSignal };
    const { clock, guards } = this.#policy;
    return {
      policy: this.#policy,
      targets: this.#targets,
      messages,
      options,
      runManager,
      streams,
      site: await siteHere(this.#owner, guards, { signal, clock }),
    };
  }
}

/** An answer that came whole, or long ago, as one piece. */
async function* replayed(
  { generations, llmOutput }: ChatResult,
  runManager: CallbackManagerForLLMRun | undefined,
): AsyncGenerator<ChatGenerationChunk> {
  const [generation] = generations;
  if (generation === undefined) return;
  const { text, message, generationInfo } = generation;
  // As LangChain does it with an answer that is asked for whole.
  message.response_metadata = { ...llmOutput, ...message.response_metadata };
  const chunk = new ChatGenerationChunk({
    text,
    message: asChunk(message),
    ...(generationInfo !== undefined && { generationInfo }),
  });
  yield chunk;
  await runManager?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, { chunk });
}

function asChunk(message: BaseMessage): AIMessageChunk {
  if (AIMessageChunk.isInstance(message)) return message;
  const { content, name, id, additional_kwargs, response_metadata } = message;
  const { tool_calls, invalid_tool_calls, usage_metadata } = message as AIMessageChunk;
  return new AIMessageChunk({
    ...{ content, additional_kwargs, response_metadata },
    ...(name !== undefined && { name }),
    ...(id !== undefined && { id }),
    ...(tool_calls !== undefined && {
      tool_calls,
      tool_call_chunks: tool_calls.map((call, index) => ({
        ...{ name: call.name, args: JSON.stringify(call.args), index, type: "tool_call_chunk" },
        ...(call.id !== undefined && { id: call.id }),
      })),
    }),
    ...(invalid_tool_calls !== undefined && { invalid_tool_calls }),
    ...(usage_metadata !== undefined && { usage_metadata }),
  });
}

type OptionsOf<Model> = Model extends BaseChatModel<infer Options> ? Options : never;

/**
 * A chat model under policies: by default 4 attempts, a breaker by the name `provider:model`, 30 seconds
 * of patience, and an `Idempotency-Key` that is equal for all attempts at one call. In a node of a graph
 * with a holdfast saver an answer is recorded: a node that runs again is given it again, and pays nothing.
 *
 * The model is taken over: its own retries are off from then on, or they would multiply.
 *
 * @param model such as `new ChatOpenAI({ model: "gpt-4o-mini" })`
 * @param policy see {@link ModelPolicy}
 * @throws {InvalidInputError} an option that doesn't exist or can't be, or no chat model
 * @example
 * const model = durableModel(new ChatOpenAI({ model: "gpt-4o" }), {
 *   budget: { usd: 0.5 },
 *   fallbacks: [new ChatOpenAI({ model: "gpt-4o-mini" })],
 * });
 */
export function durableModel<Model extends BaseChatModel>(
  model: Model,
  policy: ModelPolicy = {},
): DurableModel<OptionsOf<Model>> {
  const resolved = resolveModelPolicy(policy);
  const durable = new DurableChatModel<OptionsOf<Model>>(
    [model, ...(policy.fallbacks ?? [])],
    resolved,
  );
  const [{ name }] = targetsOf([model]) as [Target];
  const notice = costNotice(resolved.retry, { kind: "model", name });
  if (notice !== undefined) events.notice(notice);
  return durable;
}
