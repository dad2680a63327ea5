/**
 * What models cost: a table of the user's, and a small dated one for those who have none.
 *
 * The default is a convenience that ages: providers change prices, and your contract may differ.
 */

import { checkKeys, checkNumber, checkOptional } from "./options.ts";

/** US dollars for a million tokens. */
export interface Price {
  input: number;
  output: number;
  /** Input that the provider had in its cache; default: as other input. */
  cachedInput?: number;
}

/** By the model's name: `gpt-4o`, or `openai:gpt-4o` where two providers use one name. */
export type PriceTable = Readonly<Record<string, Price>>;

/** When {@link DEFAULT_PRICES} was last compared with public lists: a month. */
export const PRICES_AS_OF = { openai: "2026-06", anthropic: "2026-10" } as const;

/** List prices, without discounts for batches, and without models whose price depends on the prompt. */
export const DEFAULT_PRICES: PriceTable = {
  "gpt-4o": { input: 2.5, output: 10, cachedInput: 1.25 },
  "gpt-4o-mini": { input: 0.15, output: 0.6, cachedInput: 0.075 },
  "gpt-4.1": { input: 2, output: 8, cachedInput: 0.5 },
  "gpt-4.1-mini": { input: 0.4, output: 1.6, cachedInput: 0.1 },
  "gpt-4.1-nano": { input: 0.1, output: 0.4, cachedInput: 0.025 },
  o3: { input: 2, output: 8, cachedInput: 0.5 },
  "o3-mini": { input: 1.1, output: 4.4, cachedInput: 0.55 },
  "o4-mini": { input: 1.1, output: 4.4, cachedInput: 0.275 },
  "gpt-5": { input: 1.25, output: 10, cachedInput: 0.125 },
  "gpt-5-mini": { input: 0.25, output: 2, cachedInput: 0.025 },
  "gpt-5-nano": { input: 0.05, output: 0.4, cachedInput: 0.005 },
  "gpt-5.1": { input: 1.25, output: 10, cachedInput: 0.125 },
  "gpt-5.2": { input: 1.75, output: 14, cachedInput: 0.175 },
  "gpt-5.4": { input: 2.5, output: 15, cachedInput: 0.25 },
  "gpt-5.4-mini": { input: 0.75, output: 4.5, cachedInput: 0.075 },
  "gpt-5.4-nano": { input: 0.2, output: 1.25, cachedInput: 0.02 },
  "gpt-5.5": { input: 5, output: 30, cachedInput: 0.5 },
  "claude-haiku-4-5": { input: 1, output: 5, cachedInput: 0.1 },
  "claude-sonnet-4": { input: 3, output: 15, cachedInput: 0.3 },
  "claude-sonnet-4-5": { input: 3, output: 15, cachedInput: 0.3 },
  "claude-sonnet-5": { input: 2, output: 10, cachedInput: 0.2 },
  "claude-sonnet-5-5": { input: 2, output: 10, cachedInput: 0.1 },
  "claude-opus-4-1": { input: 15, output: 75, cachedInput: 1.5 },
  "claude-opus-4-5": { input: 5, output: 25, cachedInput: 0.5 },
  "claude-opus-5": { input: 5, output: 25, cachedInput: 0.5 },
  "claude-opus-5-5": { input: 4, output: 20, cachedInput: 0.2 },
};

/** What a call used. */
export interface TokenUse {
  inputTokens: number;
  outputTokens: number;
  /** Of the input tokens, those from the cache. */
  cachedInputTokens?: number;
}

/** @throws {InvalidInputError} a price is none */
export function checkPrices(where: string, prices: PriceTable): void {
  checkKeys(where, prices, Object.keys(prices));
  for (const [model, price] of Object.entries(prices)) {
    const name = `${where}["${model}"]`;
    checkKeys(name, price, ["input", "output", "cachedInput"]);
    checkNumber(`${name}.input`, price.input, { atLeast: 0 });
    checkNumber(`${name}.output`, price.output, { atLeast: 0 });
    checkOptional(`${name}.cachedInput`, price.cachedInput, { atLeast: 0 });
  }
}

/**
 * The price of a model, from the user's table and then the default one; undefined where neither has it.
 * A dated name (`gpt-4o-2024-08-06`, `claude-sonnet-4-5-20250929`) has the price of the undated one.
 */
export function priceOf(model: string, prices: PriceTable = {}): Price | undefined {
  for (const table of [prices, DEFAULT_PRICES]) {
    for (const name of namesOf(model)) {
      if (Object.hasOwn(table, name)) return table[name];
    }
  }
  return undefined;
}

/** What a use costs in dollars; undefined where the model's price is not known. */
export function costOf(
  model: string,
  { inputTokens, outputTokens, cachedInputTokens = 0 }: TokenUse,
  prices?: PriceTable,
): number | undefined {
  const price = priceOf(model, prices);
  if (price === undefined) return undefined;
  const { input, output, cachedInput = input } = price;
  const cached = Math.min(cachedInputTokens, inputTokens);
  return (
    ((inputTokens - cached) * input + cached * cachedInput + outputTokens * output) / 1_000_000
  );
}

/** Closest first: as given, without the provider, without the date. */
function namesOf(model: string): string[] {
  const bare = model.slice(model.lastIndexOf(":") + 1);
  const last = bare.slice(bare.lastIndexOf("/") + 1);
  const undated = last.replace(/-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$/, "");
  return [model, bare, last, undated];
}
