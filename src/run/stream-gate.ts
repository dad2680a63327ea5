/**
 * LangChain's callbacks, as a run's stream hears them: where each token comes from, when a node is about
 * to hand over its result, and a way to make who streams too fast wait.
 *
 * LangGraph streams tokens by a handler of its own, which may be called later than what it tells of
 * happened. This one is called at once and waited for.
 */

import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { LLMResult } from "@langchain/core/outputs";

type Metadata = Record<string, unknown>;
/** A token, as a model's stream hands it on. */
interface Piece {
  chunk?: { message?: object };
}

export interface GateKeeper {
  /** A model is asked, within a task. */
  asked(callId: string, path: readonly string[]): void;
  /** A message, or a piece of one, that LangGraph may stream. */
  said(callId: string, message: object): void;
  answered(callId: string): void;
  /** Settles when more may come; undefined where it may at once. */
  room(): Promise<void> | undefined;
  /** A task's node is through; its result is stored once this settles. */
  done(path: readonly string[]): Promise<void>;
}

export class StreamGate extends BaseCallbackHandler {
  readonly name = "HoldfastStreamGate";
  override awaitHandlers = true;
  readonly #keeper: GateKeeper;
  readonly #nodes = new Map<string, readonly string[]>();

  constructor(keeper: GateKeeper) {
    super();
    this.#keeper = keeper;
  }

  override handleChatModelStart(...given: unknown[]): void {
    const [, , callId, , , , metadata] = given;
    this.#keeper.asked(callId as string, pathOf(metadata as Metadata | undefined));
  }

  override handleLLMStart(...given: unknown[]): void {
    this.handleChatModelStart(...given);
  }

  override handleLLMNewToken(...given: unknown[]): Promise<void> | undefined {
    const [, , callId, , , fields] = given;
    const message = (fields as Piece | undefined)?.chunk?.message;
    if (message !== undefined) this.#keeper.said(callId as string, message);
    return this.#keeper.room();
  }

  override handleLLMEnd({ generations }: LLMResult, callId: string): void {
    for (const generation of generations.flat()) {
      const { message } = generation as { message?: object };
      if (message !== undefined) this.#keeper.said(callId, message);
    }
    this.#keeper.answered(callId);
  }

  override handleLLMError(_error: unknown, callId: string): void {
    this.#keeper.answered(callId);
  }

  override handleChainStart(...given: unknown[]): void {
    const [, , runId, , , metadata, , name] = given;
    const said = metadata as Metadata | undefined;
    // What LangGraph itself takes for the run of a node.
    if (name === undefined || said?.["langgraph_node"] !== name) return;
    this.#nodes.set(runId as string, pathOf(said));
  }

  override async handleChainEnd(_outputs: unknown, runId: string): Promise<void> {
    const path = this.#nodes.get(runId);
    if (path === undefined) return;
    this.#nodes.delete(runId);
    await this.#keeper.done(path);
  }

  override handleChainError(_error: unknown, runId: string): void {
    this.#nodes.delete(runId);
  }
}

/** The tasks that a model is called in, outermost first. */
function pathOf(metadata: Metadata | undefined): readonly string[] {
  return tasksIn(metadata?.["langgraph_checkpoint_ns"] ?? metadata?.["checkpoint_ns"]);
}

/** The tasks that a namespace is in: it names each by its node and its id. */
export function tasksIn(namespace: unknown): readonly string[] {
  if (typeof namespace !== "string" || namespace === "") return [];
  return namespace.split("|").map((part) => part.slice(part.indexOf(":") + 1));
}
