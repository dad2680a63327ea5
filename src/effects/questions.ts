/**
 * What only a person can tell about an effect: interrupts with ids of their own, and their answers.
 *
 * An answer reaches a question only by its id: `new Command({ resume: { [id]: answer } })`. A scalar
 * `resume` is never taken.
 */

import { GraphInterrupt } from "@langchain/langgraph";
import type { NodeContext } from "../context.ts";
import type { EffectRow } from "../effect-store.ts";
import { questionIdOf } from "./key.ts";
import type { UnknownEffect } from "./protocol.ts";

/** The value of an interrupt that asks what became of an effect. */
export interface UnknownEffectQuestion {
  kind: "effect-unknown";
  effect: string;
  key?: string;
  idempotencyKey: string;
  args: unknown;
  /** When it was begun, in milliseconds since the epoch. */
  begunAt?: number;
  /** How it failed, where that was seen. */
  error?: string;
  question: string;
  /** What an answer looks like. */
  answers: readonly string[];
  /** What was wrong with the answer before. */
  problem?: string;
}

/** A person's answer to {@link UnknownEffectQuestion}. */
export type UnknownEffectAnswer =
  /** It was performed, with this result. */
  | { outcome: "done"; result?: unknown }
  /** It was not: it is performed now. */
  | { outcome: "not-done" }
  /** Nobody knows; perform it (again), with the same idempotency key. */
  | { outcome: "retry" };

/** The value of an interrupt that asks what a branch is to do about an effect of another one. */
export interface ForkedEffectQuestion {
  kind: "effect-forked";
  effect: string;
  key?: string;
  idempotencyKey: string;
  /** As it was recorded, and as the branch calls it. */
  args: { recorded: unknown; called: unknown };
  question: string;
  answers: readonly string[];
  problem?: string;
}

/** A person's answer to {@link ForkedEffectQuestion}. */
export interface ForkedEffectAnswer {
  /** Take the recorded result; perform it anew; or undo the recorded one first. */
  effects: "reuse" | "redo" | "compensate";
}

const RESUME_MAP = "__pregel_resume_map";

/** The answer to a question in this invocation; undefined where there is none. */
export function answerTo(node: NodeContext, id: string): unknown {
  const answers = node.config.configurable?.[RESUME_MAP] as Record<string, unknown> | undefined;
  return answers !== undefined && Object.hasOwn(answers, id) ? answers[id] : undefined;
}

export function unknownQuestionId({ idempotencyKey, attempts }: UnknownEffect): string {
  return questionIdOf("effect-unknown", idempotencyKey, attempts);
}

export function forkedQuestionId({ idempotencyKey }: EffectRow, branch: string): string {
  return questionIdOf(`effect-forked ${branch}`, idempotencyKey, 0);
}

/** The answer, or what is wrong with it. */
export function readUnknownAnswer(
  answer: unknown,
): { answer: UnknownEffectAnswer } | { problem: string } {
  const outcome = typeof answer === "string" ? answer : (answer as { outcome?: unknown })?.outcome;
  if (outcome === "not-done" || outcome === "retry") return { answer: { outcome } };
  if (outcome === "done") {
    const result = typeof answer === "object" ? (answer as { result?: unknown }).result : undefined;
    return { answer: { outcome, result } };
  }
  return { problem: `The answer was ${shown(answer)}, and none of those that are known.` };
}

export function readForkedAnswer(
  answer: unknown,
): { answer: ForkedEffectAnswer } | { problem: string } {
  const effects = typeof answer === "string" ? answer : (answer as { effects?: unknown })?.effects;
  if (effects === "reuse" || effects === "redo" || effects === "compensate") {
    return { answer: { effects } };
  }
  return { problem: `The answer was ${shown(answer)}, and none of those that are known.` };
}

export function askUnknown(
  row: UnknownEffect,
  args: unknown,
  problem: string | undefined,
): GraphInterrupt {
  const value: UnknownEffectQuestion = {
    kind: "effect-unknown",
    effect: row.name,
    ...(row.key !== undefined && { key: row.key }),
    idempotencyKey: row.idempotencyKey,
    args,
    ...(row.sentAt !== undefined && { begunAt: row.sentAt }),
    ...(row.error !== undefined && { error: row.error }),
    question:
      `Nobody knows whether "${row.name}" was performed: its process ended, or its connection broke, ` +
      "before an answer came. Look it up at the receiver.",
    answers: [
      '{ outcome: "done", result }: it was performed',
      '{ outcome: "not-done" }: it was not, perform it now',
      '{ outcome: "retry" }: perform it again with the same idempotency key',
    ],
    ...(problem !== undefined && { problem }),
  };
  return new GraphInterrupt([{ id: unknownQuestionId(row), value }]);
}

export function askForked(
  row: EffectRow,
  id: string,
  args: ForkedEffectQuestion["args"],
  problem: string | undefined,
): GraphInterrupt {
  const value: ForkedEffectQuestion = {
    kind: "effect-forked",
    effect: row.name,
    ...(row.key !== undefined && { key: row.key }),
    idempotencyKey: row.idempotencyKey,
    args,
    question: `"${row.name}" was performed in another branch of this thread. What does this branch do?`,
    answers: [
      '{ effects: "reuse" }: take the result as it was recorded',
      '{ effects: "redo" }: perform it, as another effect',
      '{ effects: "compensate" }: undo the recorded one, then perform it',
    ],
    ...(problem !== undefined && { problem }),
  };
  return new GraphInterrupt([{ id, value }]);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
