/**
 * One attempt's limits, and the walls around an attempt that was given up on.
 *
 * Code cannot be stopped from outside: an attempt that runs over is told by its signal, left behind,
 * and shut off. What it still writes, calls, streams and returns reaches nobody.
 *
 * Invariants
 *   T1  Of an attempt that ended without success nothing reaches the state: its writes are kept back
 *       until it succeeds. (Answers of people are passed on at once: they stay given.)
 *   T2  After a limit was hit, no write, child task or stream chunk of that attempt gets through.
 *   T3  Everything below the node sees the attempt's signal, subgraphs too.
 */

import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { CallbackManager, Callbacks } from "@langchain/core/callbacks/manager";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { Clock } from "../clock.ts";
import type { AttemptContext } from "../context.ts";
import { AttemptTimeoutError } from "../errors.ts";
import type { TimeoutPolicy } from "./durable-policy.ts";

type Write = [channel: string, value: unknown];
export type Send = (writes: Write[]) => void;

const RESUME = "__resume__";

/**
 * Keeps an attempt's writes back until it succeeds; see T1.
 *
 * @param send the one that LangGraph gave; what `configurable` has may be an earlier attempt's
 * @returns lets them through, once `check` has passed them
 */
export function keepWrites(
  configurable: Record<string, unknown>,
  send: Send | undefined,
  attempt: AttemptContext,
  touch: () => void,
): (check: (writes: readonly Write[]) => void) => void {
  let kept: Write[] | undefined;
  attempt.send = (writes: Write[]): void => {
    if (!attempt.active) return;
    touch();
    const answers = writes.filter(([channel]) => channel === RESUME);
    if (answers.length > 0) send?.(answers);
    if (answers.length < writes.length) {
      kept = [...(kept ?? []), ...writes.filter(([channel]) => channel !== RESUME)];
    }
  };
  configurable["__pregel_send"] = attempt.send;
  return (check) => {
    if (kept === undefined) return;
    check(kept);
    send?.(kept);
  };
}

/** Ends an attempt; `work` is left to itself when a limit is hit first. */
export async function withinLimits<T>(
  what: string,
  limits: TimeoutPolicy & { until?: { at: number; error: () => Error } | undefined },
  watch: { clock: Clock; attempt: AttemptContext; progress: Progress; over: AbortController },
  work: () => Promise<T>,
): Promise<T> {
  const { clock, attempt, progress, over } = watch;
  const { runTimeout, idleTimeout, until } = limits;
  const done = new AbortController();
  const timers: Promise<Error>[] = [];
  if (runTimeout !== undefined) {
    timers.push(
      clock
        .sleep(runTimeout, done.signal)
        .then(() => new AttemptTimeoutError(what, "run", runTimeout)),
    );
  }
  if (until !== undefined) {
    timers.push(clock.sleep(until.at - clock.now(), done.signal).then(() => until.error()));
  }
  if (idleTimeout !== undefined) {
    timers.push(
      idle(clock, progress, idleTimeout, done.signal).then(
        () => new AttemptTimeoutError(what, "idle", idleTimeout),
      ),
    );
  }
  const hit = Promise.race(timers).then((error) => {
    attempt.active = false;
    over.abort(error);
    throw error;
  });
  // Both go on when the other one wins, and are nobody's failure then.
  hit.catch(() => undefined);
  const running = work();
  running.catch(() => undefined);
  try {
    return await Promise.race([running, hit]);
  } finally {
    done.abort();
  }
}

async function idle(
  clock: Clock,
  progress: Progress,
  timeout: number,
  done: AbortSignal,
): Promise<void> {
  for (;;) {
    const left = progress.at + timeout - clock.now();
    if (left <= 0) return;
    await clock.sleep(left, done);
  }
}

/** When an attempt last gave a sign of life. */
export class Progress {
  readonly #clock: Clock;
  at: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.at = clock.now();
  }

  readonly touch = (): void => {
    this.at = this.#clock.now();
  };
}

/** The config of an attempt with limits: T2 and T3. Changes nothing of the one given. */
export function walled(
  config: LangGraphRunnableConfig,
  attempt: AttemptContext,
  touch: () => void,
): LangGraphRunnableConfig & { configurable: Record<string, unknown> } {
  const { writer, callbacks } = config;
  const configurable: Record<string, unknown> = { ...config.configurable };
  const call = configurable["__pregel_call"] as ((...given: unknown[]) => unknown) | undefined;
  if (call !== undefined) {
    configurable["__pregel_call"] = (...given: unknown[]): unknown => {
      if (!attempt.active) throw attempt.signal.reason as Error;
      touch();
      return call(...given);
    };
  }
  const stream = configurable["__pregel_stream"] as
    { modes: unknown; push: (chunk: unknown) => void } | undefined;
  if (stream !== undefined) {
    const push = (chunk: unknown): void => {
      if (attempt.active) stream.push(chunk);
    };
    configurable["__pregel_stream"] = { modes: stream.modes, push };
  }
  // A subgraph heeds the signal that its parent's loop was given before the one in its config.
  const signals = configurable["__pregel_abort_signals"] as object | undefined;
  configurable["__pregel_abort_signals"] = { ...signals, externalAbortSignal: attempt.signal };
  return {
    ...config,
    signal: attempt.signal,
    heartbeat: () => {
      attempt.heartbeat();
    },
    callbacks: walledCallbacks(callbacks, attempt, touch),
    ...(writer !== undefined && {
      writer: (chunk: unknown): void => {
        if (!attempt.active) return;
        touch();
        writer(chunk);
      },
    }),
    configurable,
  };
}

/** Events of a model, tool or chain below the node. */
const SIGNS_OF_LIFE = [
  ...["handleLLMStart", "handleChatModelStart", "handleLLMNewToken", "handleLLMEnd"],
  ...["handleLLMError", "handleChainStart", "handleChainEnd", "handleChainError"],
  ...["handleToolStart", "handleToolEnd", "handleToolError", "handleRetrieverStart"],
  ...["handleRetrieverEnd", "handleRetrieverError", "handleText", "handleCustomEvent"],
];

function listener(touch: () => void): BaseCallbackHandler {
  return BaseCallbackHandler.fromMethods(
    Object.fromEntries(SIGNS_OF_LIFE.map((event) => [event, touch])),
  );
}

type Handler = CallbackManager["handlers"][number];

function walledCallbacks(
  callbacks: Callbacks | undefined,
  attempt: AttemptContext,
  touch: () => void,
): Callbacks {
  const progress = listener(touch);
  if (callbacks === undefined) return [progress];
  if (Array.isArray(callbacks)) return [...callbacks, progress];
  const copy = callbacks.copy();
  const walls = new Map<Handler, Handler>();
  const wall = (handler: Handler): Handler => {
    const known = walls.get(handler) ?? walledHandler(handler, attempt);
    walls.set(handler, known);
    return known;
  };
  copy.handlers = copy.handlers.map(wall);
  copy.inheritableHandlers = copy.inheritableHandlers.map(wall);
  copy.addHandler(progress, true);
  return copy;
}

/** LangGraph streams tokens and tool events by handlers; tracers go on, as they tell what happened. */
function walledHandler(handler: Handler, attempt: AttemptContext): Handler {
  if (!/^Stream\w*Handler$/.test(handler.name)) return handler;
  return new Proxy(handler, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function" || !String(key).startsWith("handle")) return value;
      return (...given: unknown[]): unknown =>
        attempt.active
          ? (value as (...given: unknown[]) => unknown).apply(target, given)
          : undefined;
    },
  });
}
