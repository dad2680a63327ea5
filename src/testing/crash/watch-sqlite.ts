/** Commits and lone writes of `node:sqlite`. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Operations } from "./operations.ts";
import { nameOf, readStatement } from "./statements.ts";

const METHODS = ["run", "get", "all", "iterate"] as const;

export function watchSqlite(operations: Operations): void {
  const begin = (db: DatabaseSync, sql: string): (() => void) | undefined =>
    readStatement(sql, db.isTransaction).isDurable ? operations.begin(nameOf(sql)) : undefined;

  const prototype = DatabaseSync.prototype as unknown as {
    exec: (this: DatabaseSync, sql: string) => void;
    prepare: (this: DatabaseSync, sql: string, ...rest: unknown[]) => StatementSync;
  };
  const { exec, prepare } = prototype;
  prototype.exec = function (sql) {
    const over = begin(this, sql);
    exec.call(this, sql);
    over?.();
  };
  prototype.prepare = function (sql, ...rest) {
    const statement = prepare.call(this, sql, ...rest);
    for (const method of METHODS) watchMethod(statement, method, () => begin(this, sql));
    return statement;
  };
}

type Method = (this: StatementSync, ...parameters: unknown[]) => unknown;

function watchMethod(
  statement: StatementSync,
  name: (typeof METHODS)[number],
  begin: () => (() => void) | undefined,
): void {
  const method = statement[name] as Method;
  const watched: Method = function (...parameters) {
    const over = begin();
    const result = method.call(this, ...parameters);
    over?.();
    return result;
  };
  Object.defineProperty(statement, name, { value: watched, configurable: true, writable: true });
}
