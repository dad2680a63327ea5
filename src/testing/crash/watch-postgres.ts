/** Commits and lone writes of `pg`, of every copy of it that is loaded. */

import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { rememberStack, type Operations } from "./operations.ts";
import { nameOf, readStatement } from "./statements.ts";

type Callback = (...answer: unknown[]) => unknown;
type Query = (this: object, config: unknown, ...rest: unknown[]) => unknown;

/** The files whose classes are watched, and by what. */
type Watchers = Record<string, (constructor: { prototype: { query: Query } }) => void>;

/** Where code appended to those files finds what watches them. */
const HOOK = "holdfast.crashMatrix.pg";

export function watchPostgres(operations: Operations): void {
  const watchers: Watchers = {
    "/pg/lib/client.js": ({ prototype }) => watchQueries(prototype, operations),
    "/pg-pool/index.js": ({ prototype }) => rememberWhoAsks(prototype),
  };
  (globalThis as unknown as Record<symbol, Watchers>)[Symbol.for(HOOK)] = watchers;
  registerHooks({
    load(url, context, next) {
      const file = Object.keys(watchers).find((name) => url.endsWith(name));
      if (file === undefined) return next(url, context);
      const source = `${readFileSync(new URL(url), "utf8")}
;globalThis[Symbol.for("${HOOK}")]["${file}"](module.exports);`;
      return { format: "commonjs", source, shortCircuit: true };
    },
  });
}

/** A pool sends when it has a connection, and by then nobody knows for whom. */
function rememberWhoAsks(prototype: { query: Query }): void {
  const { query } = prototype;
  prototype.query = function (...args) {
    return rememberStack(() => query.apply(this, args));
  };
}

function watchQueries(prototype: { query: Query }, operations: Operations): void {
  const { query } = prototype;
  const inTransaction = new WeakMap<object, boolean>();
  prototype.query = function (config, ...rest) {
    const text = textOf(config);
    const reading = readStatement(text, inTransaction.get(this) ?? false);
    inTransaction.set(this, reading.inTransaction);
    if (!reading.isDurable) return query.call(this, config, ...rest);

    const over = operations.begin(nameOf(text));
    const told =
      (callback: Callback): Callback =>
      (...answer) => {
        over();
        return callback(...answer);
      };
    const last = rest.at(-1);
    if (typeof last === "function") {
      return query.call(this, config, ...rest.slice(0, -1), told(last as Callback));
    }
    const holder = config as { callback?: unknown };
    if (typeof config === "object" && typeof holder.callback === "function") {
      holder.callback = told(holder.callback as Callback);
    }
    const result = query.call(this, config, ...rest);
    // Before whoever awaits it: handlers run in the order in which they were added.
    if (result instanceof Promise) result.then(over, over);
    return result;
  };
}

function textOf(config: unknown): string {
  if (typeof config === "string") return config;
  const { text } = (config ?? {}) as { text?: unknown };
  return typeof text === "string" ? text : "";
}
