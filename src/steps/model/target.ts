/**
 * A model that is asked: its name, its call options, and its client kept from trying again by itself.
 *
 * What is read here of LangChain's classes beyond their public types is guarded by tests.
 */

import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { InvalidInputError } from "../../errors.ts";
import { shown } from "../../policy/options.ts";

/** Of a call, as `_generate` and `_streamResponseChunks` take them; each provider has its own. */
export type CallOptions = Record<string, unknown>;

export interface Target {
  readonly model: BaseChatModel;
  /** What `bindTools` bound beside the model, where it did not make it a part of it. */
  readonly bound: CallOptions;
  /** `provider:model`. */
  readonly name: string;
  /** Of its breaker and limit, unless the policy names them; no two targets of a model share it. */
  readonly guard: string;
}

/** What every attempt is sent with. */
export interface Sending {
  signal: AbortSignal;
  idempotencyKey: string;
  /** Milliseconds. */
  httpTimeout: number;
}

interface Internals {
  caller?: { maxRetries?: number };
  clientConfig?: { maxRetries?: number };
  defaultOptions?: CallOptions;
  completions?: unknown;
  responses?: unknown;
}

/**
 * The models of a policy, the first one first. Takes them over: their own retries are off from then on.
 * @throws {InvalidInputError} one of them is no chat model
 */
export function targetsOf(models: readonly unknown[]): Target[] {
  const targets: Target[] = [];
  for (const given of models) {
    const { model, bound } = unbound(given);
    silence(model);
    const name = nameOf(model);
    const same = targets.filter((other) => other.name === name).length;
    targets.push({ model, bound, name, guard: same === 0 ? name : `${name}#${same + 1}` });
  }
  return targets;
}

/** A model that `bindTools` made a binding of; others are themselves. */
function unbound(given: unknown): { model: BaseChatModel; bound: CallOptions } {
  const { bound, kwargs, config } = (given ?? {}) as Record<string, CallOptions | undefined>;
  if (isChatModel(given)) return { model: given, bound: {} };
  if (isChatModel(bound)) return { model: bound, bound: { ...config, ...kwargs } };
  throw new InvalidInputError(
    `durableModel() takes a chat model of LangChain, such as new ChatOpenAI(), not ${shown(given)}.`,
  );
}

/** Several copies of the package are normal, so not by class. */
function isChatModel(value: unknown): value is BaseChatModel {
  if (value instanceof BaseChatModel) return true;
  const { _modelType, _generate } = (value ?? {}) as Partial<BaseChatModel>;
  return typeof _modelType === "function" && typeof _generate === "function";
}

/** LangChain's caller tries 6 times more by default; a client may have been told to, too. */
function silence(model: unknown): void {
  const { caller, clientConfig, completions, responses } = model as Internals;
  if (caller !== undefined) caller.maxRetries = 0;
  if (clientConfig !== undefined) clientConfig.maxRetries = 0;
  // ChatOpenAI hands its calls to one of these.
  for (const part of [completions, responses]) if (isChatModel(part)) silence(part);
}

function nameOf(model: BaseChatModel): string {
  const { ls_provider, ls_model_name } = model.getLsParams({});
  const own = (model as { model?: unknown; modelName?: unknown }).model;
  const name = ls_model_name ?? (typeof own === "string" ? own : model.getName());
  return `${ls_provider ?? model._llmType()}:${name}`;
}

/** A call's options, with those that were bound before. */
export function withBound({ model, bound }: Target, options: CallOptions): CallOptions {
  return { ...(model as unknown as Internals).defaultOptions, ...bound, ...options };
}

/** The same, as an attempt is sent. */
export function sent(
  target: Target,
  options: CallOptions,
  { signal, idempotencyKey, httpTimeout }: Sending,
): CallOptions {
  const all = withBound(target, options);
  const nested = (all["options"] ?? {}) as CallOptions;
  const http = (given: CallOptions) => ({
    maxRetries: 0,
    timeout: httpTimeout,
    headers: { ...(given["headers"] as object | undefined), "Idempotency-Key": idempotencyKey },
  });
  // ChatOpenAI takes those of a streamed call from the options themselves, of others from `options`.
  return { ...all, ...http(all), options: { ...nested, ...http(nested) }, signal };
}

/** Whether a model streams, and may. */
export function canStream({ model }: Target): boolean {
  return (
    !model.disableStreaming &&
    model._streamResponseChunks !== BaseChatModel.prototype._streamResponseChunks
  );
}

/** Whether a model streams even where its whole answer is asked for. */
export function prefersStream(target: Target): boolean {
  return canStream(target) && (target.model as { streaming?: unknown }).streaming === true;
}

/** The most tokens that a call may answer with, where that was said. */
export function maxTokensOf(target: Target, options: CallOptions): number | undefined {
  const { model } = target;
  const all = withBound(target, options);
  const own = model as { maxTokens?: unknown; maxOutputTokens?: unknown };
  const given = [
    ...[all["max_completion_tokens"], all["max_tokens"], all["maxTokens"]],
    ...[own.maxTokens, own.maxOutputTokens],
  ];
  return given.find((most) => typeof most === "number" && most > 0) as number | undefined;
}
