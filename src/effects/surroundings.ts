/** What a call of an effect has around it, and how it parks its node. */

import type { GraphInterrupt } from "@langchain/langgraph";
import type { AttemptContext, NodeContext } from "../context.ts";
import type { EffectRow, EffectStore } from "../effect-store.ts";
import type { DurableSaver } from "../step-store.ts";
import type { Execution, Round } from "./calls.ts";
import type { Ledger } from "./ledger.ts";

/** A call's surroundings. */
export interface Site {
  readonly node: NodeContext;
  readonly saver: DurableSaver;
  readonly store: EffectStore;
  readonly ledger: Ledger;
  readonly execution: Execution;
  readonly round: Round;
  /** Of LangGraph's or our own attempts of the node. */
  readonly attempt: number | undefined;
  readonly durable: AttemptContext | undefined;
}

/** Throws the interrupt, once the other effects of the node have settled. */
export async function park({ execution, durable }: Site, question: GraphInterrupt): Promise<never> {
  // User code may swallow it: durable() parks anyway.
  if (durable !== undefined) durable.parked ??= question;
  await execution.othersSettled();
  throw question;
}

/** The arguments of a row, for messages. */
export function shown(store: EffectStore, { args }: Pick<EffectRow, "args">): string {
  return shorten(store.deserialize(args));
}

export function shorten(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = String(value);
  }
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
