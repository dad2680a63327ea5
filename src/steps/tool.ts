/**
 * `durableTool()`: a tool each of whose calls is an effect. It is retried alone, without asking the model
 * again, and a call of a thread is performed once, whatever crashes.
 */

import type { CallbackManagerForToolRun } from "@langchain/core/callbacks/manager";
import { ToolMessage } from "@langchain/core/messages";
import { StructuredTool, Tool, type ToolRunnableConfig } from "@langchain/core/tools";
import { inNodeOf } from "../context.ts";
import { InvalidInputError, isHoldfastError } from "../errors.ts";
import { events } from "../events.ts";
import { isAbortBy, isBubbleUp } from "../policy/classify.ts";
import { shown } from "../policy/options.ts";
import { costNotice } from "../policy/retry-policy.ts";
import { callTool } from "./tool/call.ts";
import { resolveToolPolicy, type ResolvedToolPolicy, type ToolPolicy } from "./tool/policy.ts";

/** What a durable tool's function is given beside its arguments. */
export type ToolCallConfig = ToolRunnableConfig & {
  /**
   * 32 hex digits, equal for all attempts at one call and for no other call: send it along, so that the
   * receiver can tell a repetition.
   */
  readonly idempotencyKey?: string;
};

interface Inner {
  _call(args: unknown, manager?: CallbackManagerForToolRun, config?: object): unknown;
}

class DurableTool extends StructuredTool {
  readonly name: string;
  readonly description: string;
  readonly schema: StructuredTool["schema"];
  readonly #tool: StructuredTool;
  readonly #policy: ResolvedToolPolicy;

  constructor(tool: StructuredTool, policy: ResolvedToolPolicy) {
    const { responseFormat, defaultConfig, extras, metadata, callbacks, tags } = tool;
    super({
      ...{ verbose: tool.verbose, verboseParsingErrors: tool.verboseParsingErrors },
      ...(responseFormat !== undefined && { responseFormat }),
      ...(defaultConfig !== undefined && { defaultConfig }),
      ...(extras !== undefined && { extras }),
      ...(metadata !== undefined && { metadata }),
      ...(callbacks !== undefined && { callbacks }),
      ...(tags !== undefined && { tags }),
    });
    this.name = tool.name;
    this.description = tool.description;
    this.schema = tool.schema;
    this.returnDirect = tool.returnDirect;
    this.#tool = tool;
    this.#policy = policy;
  }

  static override lc_name(): string {
    return "DurableTool";
  }

  override async invoke(input: never, config?: ToolRunnableConfig): Promise<never> {
    const { type, id } = (input ?? {}) as { type?: unknown; id?: unknown };
    const given: unknown =
      typeof input === "string" && this.#tool instanceof Tool ? { input } : input;
    try {
      return (await super.invoke(given as never, config)) as never;
    } catch (error) {
      const isCall = type === "tool_call" && typeof id === "string";
      const isFinal = !isBubbleUp(error) && !isAbortBy(error, config?.signal);
      const isMisuse = isHoldfastError(error, "NOT_DURABLE");
      if (this.#policy.onFailure === "throw" || !isCall || !isFinal || isMisuse) throw error;
      return new ToolMessage({
        status: "error",
        content: `Error: ${error instanceof Error ? error.message : String(error)}`,
        name: this.name,
        tool_call_id: id,
      }) as never;
    }
  }

  protected override async _call(
    args: unknown,
    manager?: CallbackManagerForToolRun,
    config?: ToolRunnableConfig,
  ): Promise<unknown> {
    const inner = this.#tool as unknown as Inner;
    const work = (): Promise<unknown> =>
      callTool({
        tool: this,
        name: this.name,
        policy: this.#policy,
        args,
        // Some providers give none, or an empty one.
        id: config?.toolCall?.id || undefined,
        signal: config?.signal,
        perform: async (signal, idempotencyKey) => {
          const given: ToolCallConfig = { ...config, signal, idempotencyKey };
          return whole(await inner._call(args, manager, given), manager);
        },
      });
    return inNodeOf(config, work);
  }
}

/** What a tool that is a generator returned; its pieces are told as they come. */
async function whole(made: unknown, manager: CallbackManagerForToolRun | undefined) {
  const { next } = (made ?? {}) as Partial<AsyncGenerator>;
  if (typeof next !== "function" || !(Symbol.asyncIterator in (made as object))) return made;
  const pieces = made as AsyncGenerator;
  for (;;) {
    const { done, value } = await pieces.next();
    if (done === true) return value as unknown;
    await manager?.handleToolEvent(value);
  }
}

/**
 * A tool under policies, of the same name, schema and description: each call is an effect, by its
 * `tool_call_id`; retries (4 attempts, 3 retries in a run), a breaker by its name, timeout, limit, budget.
 *
 * @param policy what is done about unknown outcomes has no default; see {@link ToolPolicy}
 * @throws {InvalidInputError} an option is missing, doesn't exist or can't be
 * @example
 * const search = durableTool(searchTool, { onUnknown: "repeat", timeout: 20_000 });
 */
export function durableTool(tool: StructuredTool, policy: ToolPolicy): StructuredTool {
  const { invoke, name } = (tool ?? {}) as Partial<StructuredTool>;
  if (typeof invoke !== "function" || typeof name !== "string") {
    throw new InvalidInputError(
      `durableTool() takes a tool of LangChain, such as tool(fn, { name, schema }), not ${shown(tool)}.`,
    );
  }
  const resolved = resolveToolPolicy(name, policy);
  const notice = costNotice(resolved.retry, { kind: "tool", name });
  if (notice !== undefined) events.notice(notice);
  return new DurableTool(tool, resolved);
}
